"""Print whether this machine's worker takes folds, from which queues, and how it isolates them.

    datarun python /home/datarun/script_install/worker_state.py

Ends with an error, and the reason, where it does not answer or takes no folds.
"""

import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from datarun.celery import app
from runapp.contract import RUNNER_STATUS

_ANSWER_SECONDS = 5.0


def main() -> None:
    name = f"runner@{socket.gethostname()}"
    answers = app.control.broadcast(
        RUNNER_STATUS, destination=[name], reply=True, timeout=_ANSWER_SECONDS, limit=1
    )
    if not answers:
        sys.exit("no answer")
    state = answers[0][name]
    if not state.get("queues"):
        sys.exit(f"takes no folds: {state.get('reason') or state}")
    print(f"takes {','.join(state['queues'])}, {state['places']} at a time, isolation {state['isolation']}")


if __name__ == "__main__":
    main()
