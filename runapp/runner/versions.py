"""The versions that say why a fold on one runner may differ from the same on another."""

import platform
from importlib.metadata import version

from datarun import __version__

_LIBRARIES = ("numpy", "pandas", "scikit-learn")


def versions() -> dict[str, str]:
    """Versions of datarun, Python and the libraries of this runner, by name."""
    return {
        "datarun": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in _LIBRARIES},
    }
