"""The submission's files as an importable package, and the classes of its workflow elements.

The folder of the files is the package: its name is the package's, and it is alone in its parent
folder, the only one put on ``sys.path``. So a submission's ``random.py`` never stands in for the
standard library's, and worker processes that the submission starts can import its modules, too.
"""

import importlib
import sys
from pathlib import Path

from runapp.runner.failure import UserError


def make_importable(folder: Path) -> str:
    """Make the submission in ``folder`` importable and return the package's name, its ``module_path``."""
    # The folder's parent is new in this process: no cache of the import system is out of date by it, and to
    # mark all of them as such writes to, so copies, hundreds of pages that folds share.
    sys.path.insert(0, str(folder.parent))
    return folder.name


def element_class(module_path: str, element: str) -> type:
    """The class of a workflow element: of ``feature_extractor`` the class ``FeatureExtractor`` in that file.

    Raises
    ------
    UserError
        If the submission has no such file, or the file no such class. What else the import raises
        comes from the submission's code and passes through.
    """
    try:
        module = importlib.import_module(f".{element}", module_path)
    except ModuleNotFoundError as error:
        if error.name != f"{module_path}.{element}":
            raise
        raise UserError(f"the submission has no file {element}.py, which the workflow needs") from None
    class_name = element.title().replace("_", "")
    found = getattr(module, class_name, None)
    if not isinstance(found, type):
        raise UserError(f"{element}.py has no class {class_name}, which the workflow needs")
    return found
