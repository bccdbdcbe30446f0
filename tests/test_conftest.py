"""Notebooks that nbval ran are kept for the book, with their outputs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from jupyter_cache import get_cache
from nbformat.v4 import new_code_cell, new_notebook

FIGURE = "import matplotlib.pyplot as plt\nplt.plot([0, 1]);"
INLINE = "module://matplotlib_inline.backend_inline"


@pytest.mark.parametrize("last", ["2 + 2", "1 / 0"])
def test_a_notebook_that_passed_is_kept_with_its_outputs(tmp_path: Path, last: str) -> None:
    cells = [new_code_cell(source) for source in ("print('one')", FIGURE, last)]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    notebook, path = new_notebook(cells=cells, metadata=metadata), tmp_path / "few.ipynb"
    nbformat.write(notebook, path)
    cache = get_cache(str(tmp_path / "cache"))
    command = [sys.executable, "-m", "pytest", path, Path(__file__).with_name("conftest.py")]
    environment = os.environ | {"EXECUTED": str(cache.path), "MPLBACKEND": INLINE}
    done = subprocess.run([*command, "--nbval-lax", "-q"], env=environment, capture_output=True)
    passed = last != "1 / 0"
    assert (done.returncode == 0) == passed, done.stdout.decode()
    if not passed:
        assert not cache.list_cache_records()
        return
    merged = cache.merge_match_into_notebook(notebook)[1]
    assert merged.metadata["language_info"]["pygments_lexer"] == "ipython3"
    (one,), (figure,), (four,) = (cell.outputs for cell in merged.cells)
    assert one.text == "one\n"
    assert "image/png" in figure.data
    assert four.data["text/plain"] == "4" and four.execution_count == 3
