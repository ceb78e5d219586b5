"""Data sets: upload, and the split into train and test."""

import ast
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping

from django.conf import settings
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils.text import slugify

from runapp import dispatch
from runapp.contract import SPECIFIC_FILE, SPECIFIC_FUNCTIONS, WORKFLOW_ELEMENTS
from runapp.errors import InvalidInput
from runapp.models import Ranking, RawData
from runapp.models.rights import ADD_DATA, UPLOAD_CODE
from runapp.services.accounts import permission_check
from runapp.services.data_changes import data_changeable_check, scorer_check, scores_drop
from runapp.services.files import check_name, decode_files, write_folder
from runapp.tables import TableError, check_table

#: Names of data sets' folders.
DATA_FOLDER = re.compile(r"[a-z0-9_-]{1,60}-[0-9a-f]{8}")
#: A larger script is not even parsed, which takes a hundred times its size in memory.
MAX_SPECIFIC_BYTES = 256 * 1024


def raw_data_create(
    *,
    owner: User,
    name: str,
    target_column: str,
    workflow_elements: str,
    files: Mapping[str, str],
    scorer: str = "",
    ranking: str = Ranking.VALIDATION,
    **limits: int | None,
) -> RawData:
    """Store a data set: its files on the shared disk and its row, or neither.

    Parameters
    ----------
    workflow_elements
        Comma-separated elements of the workflow.
    files
        Encoded contents by file name. One file is a CSV; of several exactly one is a ``.py``, which says how
        the others are read.
    scorer
        Name of a scorer of scikit-learn; empty for no scores.
    ranking
        What submitters see of the ranking, a value of ``Ranking``.
    limits
        Limits of the data set's folds, by the names in ``DATA_SET_LIMITS``; one left out is the runner's.

    Raises
    ------
    Forbidden
        If the owner may not upload data sets, or not one with a ``.py``.
    InvalidInput, TooLarge
        Naming the field and what is wrong with it.
    """
    permission_check(owner, ADD_DATA, to="upload data sets")
    if any(file_name.endswith(".py") for file_name in files):
        permission_check(owner, UPLOAD_CODE, to="upload data sets with code")
    check_name(name, field="name")
    if RawData.objects.filter(name=name).exists():
        raise _name_taken()
    contents = _named(name, decode_files(files))
    custom = SPECIFIC_FILE in contents
    scorer_check(scorer, custom=custom)
    elements = workflow_parse(workflow_elements, required=not custom)
    if custom:
        _specific_names(contents[SPECIFIC_FILE])
    else:
        try:
            check_table(
                contents[f"{name}.csv"], target_column=target_column, classify="classifier" in elements
            )
        except TableError as error:
            raise InvalidInput(error.field, error.message) from None
    folder = f"{slugify(name)[:60] or 'data'}-{uuid.uuid4().hex[:8]}"  # as DATA_FOLDER says
    try:
        with transaction.atomic():
            raw_data = RawData(
                name=name,
                files_path=folder,
                target_column=target_column,
                workflow_elements=",".join(elements),
                custom=custom,
                owner=owner,
                scorer=scorer,
                ranking=ranking,
                **limits,
            )
            raw_data.save(force_insert=True)
            write_folder(settings.ENVIRONMENT.dir_data / raw_data.source_folder, contents)
    except BaseException as error:
        shutil.rmtree(settings.ENVIRONMENT.dir_data / folder, ignore_errors=True)
        if isinstance(error, IntegrityError):
            raise _name_taken() from None
        raise
    return raw_data


def _name_taken() -> InvalidInput:
    return InvalidInput("name", "RawData with this name already exists.")


def _named(name: str, contents: dict[str, bytes]) -> dict[str, bytes]:
    """The files under the names they are stored by."""
    if len(contents) == 1:
        (file_name,) = contents
        if file_name.endswith(".py"):
            raise InvalidInput("files", f"{file_name} comes without a data file")
        return {f"{name}.csv": contents[file_name]}
    scripts = [file_name for file_name in contents if file_name.endswith(".py")]
    if len(scripts) != 1:
        raise InvalidInput(
            "files",
            f"of several files one and only one must be a .py that says how to read them, not {len(scripts)}",
        )
    contents[SPECIFIC_FILE] = contents.pop(scripts[0])
    return contents


def workflow_parse(text: str, *, required: bool) -> tuple[str, ...]:
    """The elements of a workflow, in the order in which they are applied.

    Raises
    ------
    InvalidInput
        If an element is unknown or repeated, or they make no workflow.
    """
    elements = [part.strip() for part in text.split(",") if part.strip()]
    if not required:
        # A custom data set's own functions say which files they import: the names are for people.
        for element in elements:
            check_name(element, field="workflow_elements")
        return tuple(elements)
    if unknown := [element for element in elements if element not in WORKFLOW_ELEMENTS]:
        known = ", ".join(WORKFLOW_ELEMENTS)
        raise InvalidInput(
            "workflow_elements", f"{unknown[0]!r} is not a workflow element; known are {known}"
        )
    if len(set(elements)) != len(elements):
        raise InvalidInput("workflow_elements", "an element is named twice")
    if ("classifier" in elements) == ("regressor" in elements):
        raise InvalidInput("workflow_elements", "name one of classifier and regressor")
    if "calibrator" in elements and "classifier" not in elements:
        raise InvalidInput("workflow_elements", "a calibrator needs a classifier")
    return tuple(element for element in WORKFLOW_ELEMENTS if element in elements)


def _specific_names(source: bytes) -> set[str] | None:
    """The names that a ``specific.py`` binds; None where a star import hides them. It is parsed, never run.

    Raises
    ------
    InvalidInput
        If it is not Python, or too large for a script.
    """
    if len(source) > MAX_SPECIFIC_BYTES:
        raise InvalidInput("files", f"{SPECIFIC_FILE} is larger than {MAX_SPECIFIC_BYTES} bytes")
    try:
        tree = ast.parse(source, filename=SPECIFIC_FILE)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InvalidInput("files", f"{SPECIFIC_FILE} is not valid Python: {error}") from None
    names: set[str] = set()
    for node in _outermost(tree):
        if isinstance(node, ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.ImportFrom | ast.Import):
            names.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return None if "*" in names else names


def _outermost(tree: ast.Module) -> Iterator[ast.AST]:
    """The nodes of a module outside of its functions and classes, in no order."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            waiting.extend(ast.iter_child_nodes(node))


def split_ask(*, raw_data: RawData, held_out_test: float, random_state: int, by: User) -> str:
    """Have a standard data set split; returns the task's id. An earlier split is replaced.

    Raises
    ------
    Forbidden
        If the data set is another organizer's.
    InvalidInput
        If it is a custom one.
    """
    data_changeable_check(raw_data, by)
    if raw_data.custom:
        raise InvalidInput("raw_data_id", f"this data set has a {SPECIFIC_FILE}; use rawdata/customsplit/")
    return _ask(raw_data, held_out_test=held_out_test, random_state=random_state)


def custom_split_ask(*, raw_data: RawData, by: User) -> str:
    """Have a custom data set prepared by its own functions; returns the task's id.

    Raises
    ------
    Forbidden
        If the data set is another organizer's.
    InvalidInput
        If it is a standard one, or a function is missing.
    """
    data_changeable_check(raw_data, by)
    if not raw_data.custom:
        raise InvalidInput("raw_data_id", f"this data set has no {SPECIFIC_FILE}; use rawdata/split/")
    names = _specific_names(
        (settings.ENVIRONMENT.dir_data / raw_data.source_folder / SPECIFIC_FILE).read_bytes()
    )
    if names is not None and (missing := [name for name in SPECIFIC_FUNCTIONS if name not in names]):
        raise InvalidInput("raw_data_id", f"{SPECIFIC_FILE} does not define {', '.join(missing)}")
    return _ask(raw_data, held_out_test=None, random_state=None)


def _ask(raw_data: RawData, *, held_out_test: float | None, random_state: int | None) -> str:
    task_id = dispatch.new_task_id()
    with transaction.atomic():
        RawData.objects.ask_split(
            raw_data.pk, task_id=task_id, held_out_test=held_out_test, random_state=random_state
        )
        scores_drop(raw_data)
        raw_data.refresh_from_db()
        transaction.on_commit(lambda: dispatch.send_split(raw_data), robust=True)
    return task_id
