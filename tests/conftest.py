"""Settings for all tests: the smoke scale, one thread, and plots without a window."""

import os
from itertools import groupby
from pathlib import Path

import pytest
from ipykernel.ipkernel import IPythonKernel
from IPython.core.displayhook import DisplayHook
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from nbval.plugin import IPyNbCell, IPyNbFile

os.environ.setdefault("BOOK_SCALE", "smoke")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "agg")

# librosa keeps what numba compiles in files, and two workers that write them at once crash.
if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    os.environ["NUMBA_CACHE_DIR"] = str(Path(__file__).parents[1] / "_build" / "numba" / worker)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Keep notebooks with the outputs that nbval saw, so that the book need not run them again.

    `EXECUTED` names the jupyter-cache. A notebook that failed, or that ran elsewhere, is left out.
    """
    if not (folder := os.environ.get("EXECUTED")):
        return
    cells = [item for item in getattr(session, "items", ()) if isinstance(item, IPyNbCell)]
    for notebook, group in groupby(cells, key=lambda cell: cell.parent):
        keep(notebook, list(group), folder)


def keep(notebook: IPyNbFile, cells: list[IPyNbCell], folder: str) -> None:
    """Put one notebook into the cache, if every cell ran without an error."""
    seen = [cell.test_outputs for cell in cells]
    if None in seen or any(out.output_type == "error" for outputs in seen for out in outputs):
        return
    for number, (cell, outputs) in enumerate(zip(cells, seen, strict=True), start=1):
        # nbval runs cells outside IPython's history: without a count, and ignoring semicolons.
        if DisplayHook.semicolon_at_end_of_expression(cell.cell.source):
            outputs = [out for out in outputs if out.output_type != "execute_result"]
        for out in outputs:
            if out.output_type == "execute_result":
                out.execution_count = number
        cell.cell.update(outputs=outputs, execution_count=number)
    notebook.nb.metadata["language_info"] = IPythonKernel.language_info
    bundle = CacheBundleIn(notebook.nb, str(notebook.path))
    get_cache(folder).cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
