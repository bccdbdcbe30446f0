"""Published weights: `load_official` makes a separator of this book from the authors' files.

One module per model maps the published parameter names and shapes to ours; `weights.py` reads files
safely.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from common.separation.separators import Separator
from common.support.errors import UsageError

LOADERS = {"open-unmix": "open_unmix", "spleeter": "spleeter"}
"""Model name → the module here whose `load(path)` makes a separator from its published files."""


def load_official(model: str, path: Path) -> Separator:
    """A separator with published weights that have been downloaded to `path`.

    Raises UsageError for a model whose published files the book cannot read, and for files that
    do not fit the model.
    """
    if model not in LOADERS:
        known = " and ".join(LOADERS)
        raise UsageError(f"--weights takes the published files of {known}, not of {model!r}")
    return importlib.import_module(f"{__name__}.{LOADERS[model]}").load(Path(path))
