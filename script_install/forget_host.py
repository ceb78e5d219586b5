"""Remove what the runners of this host said of themselves on the shared disk, since they left for good.

datarun python /home/datarun/script_install/forget_host.py
"""

import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from datarun.celery import environment
from runapp.exchange import Exchange

if __name__ == "__main__":
    Exchange(environment.exchange_folder).forget_host(socket.gethostname())
