"""Packages that few chapters need: what to install where one is missing."""

from importlib.util import find_spec

from common.support.errors import UsageError

INSTALL = {
    "nussl": "'nussl<1.2' 'zarr<3'",
    "scaper": "scaper",
    "soxbindings": "soxbindings",
}


def check_installed(package: str) -> None:
    """Raise UsageError, which says what to install, where a package is missing.

    All of them compile soxbindings, which needs the headers of SoX.
    """
    if find_spec(package) is None:
        sox = "sox and libsox-dev (apt-get) or sox (brew)"
        raise UsageError(
            f"{package} is not installed: install {sox}, then pip install {INSTALL[package]}"
        )
