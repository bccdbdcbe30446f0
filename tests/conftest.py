"""What every test runs under: the smoke scale, one thread, and no window to draw into."""

import os
from itertools import groupby
from pathlib import Path

import pytest
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
    outputs = [cell.test_outputs for cell in cells]
    if None in outputs or any(out.output_type == "error" for outs in outputs for out in outs):
        return
    for number, cell in enumerate(cells, start=1):
        for out in cell.test_outputs:
            if "execution_count" in out:
                out.execution_count = number
        cell.cell.update(outputs=cell.test_outputs, execution_count=number)
    bundle = CacheBundleIn(notebook.nb, str(notebook.path))
    get_cache(folder).cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
