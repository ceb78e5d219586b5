"""Print whether this machine's worker takes folds, from which queues, and how it isolates them.

    datarun python /home/datarun/script_install/worker_state.py

Ends with an error, and the reason, where it does not answer or takes no folds. A host that an operator has
drained is well.
"""

import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from datarun.celery import app, environment
from runapp.exchange import Exchange
from runapp.messages import RunnerMark
from runapp.runner.gate import PROBE_SECONDS

_ANSWER_SECONDS = 5.0
#: What a worker says of itself is rewritten every few seconds; an older word is of one that ended.
_FRESH_SECONDS = 3 * PROBE_SECONDS


def main() -> None:
    name = f"runner@{socket.gethostname()}"
    if not app.control.ping(destination=[name], timeout=_ANSWER_SECONDS):
        sys.exit("no answer")
    mark = _mark(name)
    if mark is None:
        sys.exit("no word of it on the shared disk")
    what = f"{','.join(mark.queues)}, {mark.places} at a time, isolation {mark.isolation}"
    if Exchange(environment.exchange_folder).is_drained(mark.host):
        print(f"is drained; resumed, it takes {what}")
    elif mark.refuses:
        sys.exit(f"takes no folds: {mark.refuses}")
    else:
        print(f"takes {what}")


def _mark(name: str) -> RunnerMark | None:
    exchange = Exchange(environment.exchange_folder)
    now = exchange.now()
    for mark, at in exchange.runners():
        if mark.runner == name and now - at <= _FRESH_SECONDS:
            return mark
    return None


if __name__ == "__main__":
    main()
