"""How Sphinx builds the manual: ``python -m sphinx -W -b html docs docs/_build/html``."""

import os
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path[:0] = [str(DOCS.parent), str(DOCS / "extensions")]

# The reference is read off the code, which must not meet the settings of a datarun that runs here.
for _name in list(os.environ):
    if _name.startswith("DR_") or _name in ("DIR_DATA", "DIR_SUBMISSION", "RMQ_VHOST", "IP_MASTER"):
        del os.environ[_name]
_home = tempfile.TemporaryDirectory(prefix="datarun-docs-")
os.environ.update(DR_HOME=_home.name, DJANGO_SETTINGS_MODULE="datarun.settings")

import django  # noqa: E402 - only now is the environment what the settings may read
from sphinx.application import Sphinx  # noqa: E402 - likewise

from datarun import __version__  # noqa: E402 - likewise

django.setup()

project = "datarun"
author = "the datarun authors"
copyright = "the datarun authors"
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "reference_tables",
    "schema_drawing",
]
exclude_patterns = ["_build"]
# A name of the code that leads nowhere is a warning, too.
nitpicky = True
source_suffix = {".md": "markdown"}

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_numpy_docstring = True
napoleon_google_docstring = False

html_theme = "furo"
html_title = f"datarun {release}"
html_favicon = "../runapp/static/runapp/icon.svg"
html_copy_source = False
html_show_sourcelink = False
html_static_path = ["static"]
html_css_files = ["manual.css"]


def setup(app: Sphinx) -> None:
    """Give the book of ``make_pdf.sh`` the style sheet by which it is printed."""
    app.connect("builder-inited", _style_of_the_book)


def _style_of_the_book(app: Sphinx) -> None:
    if app.builder.name == "singlehtml":
        app.add_css_file("book.css")
