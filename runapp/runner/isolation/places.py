"""Where things lie inside the sandbox."""

from pathlib import Path

#: The engine's own code, read only.
ENGINE = Path("/opt/datarun")
#: Where an interpreter or a virtual environment is shown that lies beneath the scratch, which hides it.
PYTHON = Path("/opt/python")
#: Empty and writable for each fold, and gone with it.
SCRATCH = Path("/tmp")  # noqa: S108 - a file system of its own for each fold
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - likewise
#: The submission's files, alone in their parent folder.
SUBMISSION = SCRATCH / "packages" / "submission"
WORK = SCRATCH / "work"
#: Present only where organizer's code runs: the uploaded or split files, and the folder it may write.
SOURCE = Path("/data/source")
WORKING = Path("/data/working")
#: A copy of the data set's ``specific.py`` in a fold of a custom data set.
DATA_CODE = SCRATCH / "data"
#: Folders that paths in a participant's log are shown relative to.
HIDDEN = (SUBMISSION, SUBMISSION.parent, WORK, DATA_CODE, SOURCE, WORKING, ENGINE)
