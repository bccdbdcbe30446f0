"""Notebooks that nbval ran are kept for the book, with their outputs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
from jupyter_cache import get_cache
from nbformat.v4 import new_code_cell, new_notebook

FIGURE = "import matplotlib.pyplot as plt\nplt.plot([0, 1]);"
INLINE = "module://matplotlib_inline.backend_inline"


def notebook_of(folder: Path, last: str) -> nbformat.NotebookNode:
    """A notebook in `folder` that prints, draws and ends with a line."""
    cells = [new_code_cell(source) for source in ("print('one')", FIGURE, last)]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    notebook = new_notebook(cells=cells, metadata=metadata)
    folder.mkdir(exist_ok=True)
    nbformat.write(notebook, folder / f"{len(list(folder.iterdir()))}.ipynb")
    return notebook


def test_notebooks_that_passed_are_kept_with_their_outputs(tmp_path: Path) -> None:
    folder = tmp_path / "notebooks"
    notebook, _ = notebook_of(folder, "2 + 2"), notebook_of(folder, "1 / 0")
    cache = get_cache(str(tmp_path / "cache"))
    command = [sys.executable, "-m", "pytest", folder, Path(__file__).with_name("conftest.py")]
    environment = os.environ | {"EXECUTED": str(cache.path), "MPLBACKEND": INLINE}
    done = subprocess.run([*command, "--nbval-lax", "-q"], env=environment, capture_output=True)
    assert b"1 failed, 5 passed" in done.stdout, done.stdout.decode()
    assert len(cache.list_cache_records()) == 1  # the one that failed is left out
    merged = cache.merge_match_into_notebook(notebook)[1]
    assert merged.metadata["language_info"]["pygments_lexer"] == "ipython3"
    (one,), (figure,), (four,) = (cell.outputs for cell in merged.cells)
    assert one.text == "one\n"
    assert "image/png" in figure.data
    assert four.data["text/plain"] == "4" and four.execution_count == 3
