"""What each page of dashboard and admin costs the server, with few and with many folds, on PostgreSQL.

    python test_files/bench/pages.py [--folds 1000 100000] [--rounds 10] [--json FILE]

100,000 folds are those of 1,000 submissions. Prints for each page and kind of user the queries and the
median and highest milliseconds of a request, from the first middleware to the last byte.
"""

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # run as a script: `test_files` must be found all the same
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from test_files.services import Services

_FOLDS_PER_SUBMISSION = 100
_BUDGET_MS, _BUDGET_QUERIES = 300.0, 15


def measure(n_folds: int, rounds: int) -> list[dict[str, Any]]:
    """Each page for staff, an organizer and a submitter; the admin's for staff alone."""
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from test_files.bench.page_rows import PageRows

    rows = PageRows(n_folds, n_submissions=max(n_folds // _FOLDS_PER_SUBMISSION, 1))
    found = []
    for user in (rows.staff, rows.organizer, rows.submitter):
        client = Client()
        client.force_login(user)
        for path in rows.paths + (rows.staff_paths if user == rows.staff else []):
            client.get(path)  # templates are compiled, connections made
            taken = []
            for _ in range(rounds):
                begin = time.perf_counter()
                answer = client.get(path)
                content = answer.content
                taken.append((time.perf_counter() - begin) * 1000)
            with CaptureQueriesContext(connection) as queries:
                client.get(path)
            found.append(
                {
                    "folds": n_folds, "user": user.username, "page": path, "status": answer.status_code,
                    "kb": len(content) // 1024, "queries": len(queries),
                    "median_ms": statistics.median(taken), "highest_ms": max(taken),
                }
            )  # fmt: skip
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folds", type=int, nargs="+", default=[1000, 100_000])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--json", type=Path, help="write the numbers there, too")
    arguments = parser.parse_args()
    found: list[dict[str, Any]] = []
    with Services() as services:
        os.environ.update(services.environment | {"DJANGO_SETTINGS_MODULE": "datarun.settings"})
        import django
        from django.conf import settings
        from django.core.management import call_command

        django.setup()
        settings.ALLOWED_HOSTS = ["testserver"]
        call_command("migrate", verbosity=0)
        for n_folds in arguments.folds:
            call_command("flush", interactive=False, verbosity=0)
            found += measure(n_folds, arguments.rounds)
    names = f"  folds user       {'page':53} status    KB queries"
    print(f"{names}  median  highest ms")
    for row in found:
        over = row["median_ms"] > _BUDGET_MS or row["queries"] > _BUDGET_QUERIES
        print(
            f"{row['folds']:7} {row['user']:10} {row['page']:53} {row['status']:6} {row['kb']:5} "
            f"{row['queries']:7} {row['median_ms']:7.1f}  {row['highest_ms']:7.1f}  {'OVER' if over else ''}"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
