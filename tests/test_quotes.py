"""Quoted cells equal the files they quote, and the tool that compares them finds differences."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import nbformat
import pytest
import quotes
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

NOTEBOOKS = sorted((quotes.ROOT / "notebooks").glob("*.ipynb"))

MODULE = '''\
"""A made-up module."""

import math

EPS = 1e-8

# The smallest net there is.
@register
class Net(Module):
    """One gain.  Two spaces."""

    def __init__(self, gain=1.0):
        self.gain = gain

    # Comments that touch a definition belong to it.
    @property
    def loud(self):
        return self.gain > 1  # louder than one
        # and so does the last one

    def forward(self, x):
        return self.gain * x


def half(x):
    return x / 2

def _hidden(x):
    return x
'''

NET = MODULE[MODULE.index("# The smallest") : MODULE.index("\n\n\ndef half")]
HALF = "def half(x):\n    return x / 2"
LOUD = """\
# Comments that touch a definition belong to it.
@property
def loud(self):
    return self.gain > 1  # louder than one
    # and so does the last one"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "common" / "models").mkdir(parents=True)
    (tmp_path / "common" / "models" / "net.py").write_text(MODULE)
    (tmp_path / "common" / "checks").mkdir()
    (tmp_path / "common" / "checks" / "ch99.py").write_text("def double(f):\n    return f\n")
    return tmp_path


def book(*cells: str, tags: list[str] | None = None) -> nbformat.NotebookNode:
    made = [new_code_cell(text, metadata={"tags": tags} if tags else {}) for text in cells]
    return new_notebook(cells=[new_markdown_cell("# A chapter"), *made])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_chapter_shows_the_code_that_runs(path: Path) -> None:
    found = quotes.problems(nbformat.read(path, as_version=4))
    assert not found, "\n\n".join(["refresh with `python tests/quotes.py --write`", *found])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_quoted_code_runs_with_the_constants_of_its_own_module(path: Path) -> None:
    """A quote runs in the chapter, with whatever the chapter imported under a constant's name."""
    imported, wrong = {}, []
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type != "code":
            continue
        tree = quotes.parse(cell.source)
        for node in tree.body:
            if isinstance(node, ast.ImportFrom) and node.module.startswith("common"):
                module = importlib.import_module(node.module)
                constants = [name.name for name in node.names if name.name.isupper()]
                imported |= {name: getattr(module, name) for name in constants}
        if quotes.is_quote(cell.source):
            file = quotes.MARKER.match(cell.source)["path"]
            module = importlib.import_module(file.removesuffix(".py").replace("/", "."))
            used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
            shared = used & imported.keys() & vars(module).keys()
            wrong += [(file, x) for x in shared if imported[x] != getattr(module, x)]
    assert wrong == []


@pytest.mark.parametrize(
    "cell",
    [
        f"# common/models/net.py\n{NET}",
        f"# common/models/net.py\n{NET}\n\n\n{HALF}",
        f"# common/models/net.py: half\n{HALF}",
        f"# common/models/net.py: half, Net.loud\n{HALF}\n\n\n{LOUD}",
        f"# common/models/net.py: EPS, half\nEPS = 1e-8\n\n\n{HALF}",
    ],
    ids=["class", "two", "named", "method", "constant"],
)
def test_faithful_quotes_pass(root: Path, cell: str) -> None:
    assert quotes.problems(book(cell), root) == []


@pytest.mark.parametrize(
    "cell",
    [
        f"# common/models/net.py\n{NET}".replace("gain=1.0", "gain=2.0"),
        f"# common/models/net.py\n{NET}".replace("gain.  Two", "gain. Two"),
        f"# common/models/net.py\n{NET}".replace("@register\n", ""),
        f"# common/models/net.py\n{NET}".replace("# The smallest net there is.\n", ""),
        f"# common/models/net.py\n{NET}".replace("  # louder than one", ""),
        f"# common/models/net.py: Net.loud\n{LOUD}".replace("    # and so does the last one", ""),
        f"# common/models/net.py: half, EPS\n{HALF}",
        f"# common/models/net.py\n{HALF}\n\nhalf(3)",
        "# common/models/net.py\ndef quarter(x):\n    return x / 4",
        "# common/models/net.py\nNet().forward(1)",
        f"# common/models/nets.py\n{HALF}",
        f"# common/models/net.py shows half\n{HALF}",
        "# common/models/net.py\ndef half(x:\n    return x / 2",
    ],
    ids=[
        "value",
        "space",
        "decorator",
        "comment-above",
        "comment-inside",
        "comment-below",
        "missing-name",
        "extra-code",
        "unknown-name",
        "no-definition",
        "unknown-file",
        "bad-marker",
        "no-python",
    ],
)
def test_unfaithful_quotes_fail(root: Path, cell: str) -> None:
    assert len(quotes.problems(book(cell), root)) == 1


@pytest.mark.parametrize(
    "cell",
    [
        "def half(x):\n    return x / 3",
        "%%time\ndef half(x):\n    return x / 3",
        "!ls\nclass Net:\n    pass",
        "if True:\n    def half(x):\n        return 0",
    ],
)
def test_unmarked_redefinitions_fail(root: Path, cell: str) -> None:
    (problem,) = quotes.problems(book(cell), root)
    assert "common/models/net.py defines" in problem


@pytest.mark.parametrize("tag", ["exercise", "solution"])
def test_exercises_may_define_what_they_ask_for(root: Path, tag: str) -> None:
    assert quotes.problems(book("def half(x):\n    ...", tags=[tag]), root) == []


def test_own_private_and_check_names_are_free(root: Path) -> None:
    own = "def third(x):\n    def half(y):\n        return y\n    return half(x)"
    assert quotes.problems(book(own, "def _hidden(x): ...", "def double(x): ..."), root) == []


def test_write_refreshes_quotes_and_only_quotes(root: Path) -> None:
    path = root / "chapter.ipynb"
    stale = f"# common/models/net.py: half\n{HALF}".replace("2", "3")
    lost = "# common/models/gone.py\ndef gone(): ..."
    nbformat.write(book("x = 1", stale, lost), path)
    assert quotes.rewrite(path, root) == 1
    cells = nbformat.read(path, as_version=4).cells
    assert [cell.source for cell in cells[1:]] == [
        "x = 1",
        f"# common/models/net.py: half\n{HALF}",
        lost,
    ]
    before = path.read_bytes()
    assert quotes.rewrite(path, root) == 0
    assert path.read_bytes() == before
