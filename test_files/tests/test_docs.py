"""The manual is true: its examples run, and the links, files, commands and settings it names exist."""

import doctest
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest
from django.apps import apps
from django.core.management import get_commands
from django.db.models import ForeignKey
from pypdf import PdfReader

from runapp.environment import BASE_DIR
from test_files.processes import Process, free_ports
from test_files.stack import answers, clean_environment, manage

DOCS = BASE_DIR / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)
WRITTEN = [*PAGES, BASE_DIR / "README.md", BASE_DIR / "CHANGES.md"]
SETTINGS_PAGE = DOCS / "reference" / "settings.md"

#: Where the pages say that datarun is, and as whom they log in.
WRITTEN_URL, USER, PASSWORD = "http://127.0.0.1:8000", "me", "my password"
#: By one of these names ``docs/make_pdf.sh`` finds the browser that prints.
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")

_FENCE = re.compile(r"^```(?P<language>[\w{}-]*)[^\n]*\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
_PATH = re.compile(r"(?<![\w./-])(?:runapp|datarun|test_files|script_install|docs|\.ci)/[\w./-]*\w")
_SETTING = re.compile(
    r"\b(?:DR_[A-Z_]*[A-Z]|DIR_DATA|DIR_SUBMISSION|RMQ_VHOST|IP_MASTER|NB_LOCAL_WORKER|CELERY_SCHEDULER_PERIOD)\b"
)

_HOST = re.compile(r"([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}")


def _name(path: Path) -> str:
    return str(path.relative_to(BASE_DIR))


def _code(page: Path, language: str) -> str:
    """All the code of a page in one language."""
    return "\n".join(
        match["code"] for match in _FENCE.finditer(page.read_text("utf-8")) if match["language"] == language
    )


PAGES_WITH_EXAMPLES = [page for page in WRITTEN if _code(page, "pycon")]


@pytest.fixture(scope="module")
def datarun_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A datarun with everything embedded, which knows the user of the examples."""
    folder = tmp_path_factory.mktemp("docs")
    environment = clean_environment() | {"DR_HOME": str(folder / "home")}
    manage(environment, "migrate", "--verbosity", "0")
    manage(environment, "createuser", USER, "me@example.org", PASSWORD)
    [port] = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    up = Process(
        "up",
        [sys.executable, BASE_DIR / "manage.py", "up", "--port", str(port)],
        folder=folder,
        environment=environment,
        working_folder=BASE_DIR,
        is_ready=lambda: answers(url),
        death_signal=signal.SIGTERM,
    )
    up.start()
    try:
        up.wait_until_ready()
        yield url
    finally:
        up.stop(seconds=30.0)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES_WITH_EXAMPLES, ids=_name)
def test_the_examples_of_a_page_run_and_print_what_it_says(
    page: Path, datarun_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(BASE_DIR)
    code = _code(page, "pycon").replace(WRITTEN_URL, datarun_url)
    examples = doctest.DocTestParser().get_doctest(code, {}, _name(page), str(page), 0)
    report: list[str] = []
    results = doctest.DocTestRunner(verbose=False).run(examples, out=report.append)
    assert results.attempted > 0
    assert not results.failed, "".join(report)


@pytest.mark.parametrize("page", WRITTEN, ids=_name)
def test_the_files_that_a_page_names_exist(page: Path) -> None:
    text = re.sub(r"https?://\S+", "", page.read_text("utf-8"))
    named = set(_PATH.findall(text))
    # What a build or a deployment makes is not there before it.
    missing = [
        name
        for name in named
        if not name.startswith(("docs/_build", "script_install/certificates"))
        and not (BASE_DIR / name).exists()
    ]
    as_modules = [name for name in missing if not (BASE_DIR / f"{name}.py").exists()]
    # Addresses of the API begin like the folder of its code.
    assert not [name for name in as_modules if name.rstrip("/") not in _api_paths()]


def _api_paths() -> set[str]:
    from runapp.api.urls import urlpatterns

    return {f"runapp/{pattern.pattern}".rstrip("/") for pattern in urlpatterns}


@pytest.mark.parametrize("page", WRITTEN, ids=_name)
def test_the_commands_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text("utf-8")
    unknown = set(re.findall(r"manage\.py ([a-z_]+)", text)) - set(get_commands())
    assert not unknown
    # A deployed machine has the repository in one place.
    for script in re.findall(r"\bbash (?:/home/datarun/)?([\w./-]+)", text):
        places = (BASE_DIR, BASE_DIR / "test_files", BASE_DIR / "script_install")
        assert any((place / script).is_file() for place in places), script


@pytest.mark.parametrize("page", WRITTEN, ids=_name)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    text = _FENCE.sub("", page.read_text("utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            assert _is_web_address(target), target
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), target
        assert not anchor or anchor in _anchors(path), target


def _is_web_address(target: str) -> bool:
    """Whether a link to elsewhere is well-formed and encrypted. Nobody is asked: tests need no network."""
    address = urlsplit(target)
    return address.scheme == "https" and bool(_HOST.fullmatch(address.netloc)) and target.isascii()


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#{1,3} (.+)$", _FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_the_settings_page_has_each_variable_that_the_code_reads_and_no_other() -> None:
    described = set(re.findall(r"^\| `([A-Z_]+)` \|", SETTINGS_PAGE.read_text("utf-8"), re.MULTILINE))
    assert described == _variables_read()


def _variables_read() -> set[str]:
    listed = subprocess.run(
        ["git", "ls-files", "*.py", "*.sh"], cwd=BASE_DIR, capture_output=True, text=True, check=True
    )
    tests = re.compile(r"(^|/)(test|docs|tests|bench)(_\w+)?(/|\.py$)")
    names: set[str] = set()
    for name in listed.stdout.splitlines():
        if tests.search(name.removeprefix("test_files/")):
            continue
        text = (BASE_DIR / name).read_text("utf-8")
        names.update(_SETTING.findall(text) if name.endswith(".sh") else _quoted_settings(text))
    return names


def _quoted_settings(text: str) -> set[str]:
    return {name for name in re.findall(r'"([A-Z_]+)"', text) if _SETTING.fullmatch(name)}


def test_every_endpoint_of_the_api_is_in_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DOCS / "extensions"))
    import reference_tables

    page = (DOCS / "reference" / "api.md").read_text("utf-8")
    described = set(re.findall(r"^```\{endpoint\} (.+)$", page, re.MULTILINE))
    assert described == set(reference_tables.operations())


def test_the_drawing_of_the_tables_has_each_column_and_each_relation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DOCS / "extensions"))
    from schema_drawing import schema_svg

    models = list(apps.get_app_config("runapp").get_models())
    drawing = ElementTree.fromstring(schema_svg(models))
    columns = {(model.__name__, field.name) for model in models for field in model._meta.concrete_fields}
    drawn = {tuple(element.get("data-column", "").split(".")) for element in drawing.iter()}
    assert columns <= drawn
    arrows = {
        (line.get("data-from"), line.get("data-to")) for line in drawing.iter() if line.get("data-from")
    }
    assert arrows == {
        (f"{model.__name__}.{field.name}", field.related_model.__name__)
        for model in models
        for field in model._meta.concrete_fields
        if isinstance(field, ForeignKey)
    }


def test_every_outcome_and_state_is_explained() -> None:
    from runapp.contract import Outcome, State

    page = (DOCS / "explanation" / "fold-life.md").read_text("utf-8")
    rows = set(re.findall(r"^\| `(\w+)`", page, re.MULTILINE))
    assert {outcome.value for outcome in Outcome} | {state.value for state in State} <= rows


def test_the_tutorial_shows_the_steps_that_the_quickstart_prints() -> None:
    steps = re.compile(r"\b\d/\d  [A-Z]\w+")
    printed = steps.findall((BASE_DIR / "script_install" / "quickstart.py").read_text("utf-8"))
    assert steps.findall((DOCS / "tutorial" / "quickstart.md").read_text("utf-8")) == printed != []


def test_the_manual_builds_without_a_warning(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", DOCS, tmp_path / "html"],
        cwd=BASE_DIR, capture_output=True, text=True, timeout=300, env=dict(os.environ),
    )  # fmt: skip
    assert built.returncode == 0, built.stderr


@pytest.mark.slow
@pytest.mark.skipif(not any(map(shutil.which, CHROMIUMS)), reason="there is no Chromium on this machine")
def test_the_manual_as_a_pdf_has_the_title_of_every_page_on_a_page_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "datarun.pdf"
    built = subprocess.run(
        ["bash", DOCS / "make_pdf.sh", file], capture_output=True, text=True, timeout=600, check=False
    )
    assert built.returncode == 0, built.stderr
    pages = [_words(page.extract_text()) for page in PdfReader(file).pages]
    assert len(pages) > len(PAGES)
    titles = [_words(re.findall(r"^# (.+)$", page.read_text("utf-8"), re.MULTILINE)[0]) for page in PAGES]
    # Above the title is the number of the page; the page of contents has all titles.
    missing = [title for title in titles if not any(title in page[: len(title) + 12] for page in pages[1:])]
    assert not missing
    assert not [title for title in titles if title not in pages[0]]


def _words(text: str) -> str:
    """A text as a typesetter may change it back: one line, plain apostrophes, no code marks."""
    return " ".join(text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").replace("`", "").split())
