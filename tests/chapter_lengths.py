"""Print how long each chapter is: `python tests/chapter_lengths.py [NOTEBOOK ...]`.

Only the main text is counted: no exercises and solutions, no boxes (block quotes), no common
mistakes and further reading, and not the set-up cell of Colab.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import nbformat
import quotes
from nbformat import NotebookNode
from notebook_rules import IMAGE

ROOT = Path(__file__).resolve().parent.parent
ASIDES = ("Common mistakes", "Exercises", "Solutions", "Further reading")
HIDDEN = {"hide-cell", "hide-input"}
NOT_READ = {"colab", "exercise", "check", "solution"}


@dataclass(frozen=True)
class Length:
    """Words of prose, code cells, lines of imports, and assertions that are not folded away."""

    words: int
    cells: int
    imports: int
    asserts: int


LIMIT = Length(words=3500, cells=60, imports=20, asserts=12)


def main_line(notebook: NotebookNode) -> Iterator[NotebookNode]:
    """The cells outside the sections in `ASIDES`, each of which ends where the next one begins.

    A markdown cell in which such a section begins or ends is cut there.
    """
    aside = False
    for cell in notebook.cells:
        if cell.cell_type == "code":
            if not aside and not NOT_READ & set(cell.metadata.get("tags", [])):
                yield cell
            continue
        kept = []
        for line in cell.source.split("\n"):
            if line.startswith("## "):
                aside = line.removeprefix("## ").strip() in ASIDES
            if not aside:
                kept.append(line)
        yield nbformat.v4.new_markdown_cell("\n".join(kept))


def n_words(text: str) -> int:
    """Words of running text, headings, lists and tables; not pictures, boxes, code, formulas."""
    text = re.sub(r"^(`{3,}|~{3,})[^\n]*\n.*?^\1`*~*$", "", text, flags=re.M | re.S)
    text = re.sub(r"\$\$.*?\$\$", "", text, flags=re.S)
    text = re.sub(r"^>.*$", "", IMAGE.sub("", text), flags=re.M)
    return sum(1 for word in text.split() if re.search(r"\w", word))


def n_import_lines(source: str) -> int:
    """Lines that import statements take, anywhere in a cell."""
    imports = (ast.Import, ast.ImportFrom)
    found = (node for node in ast.walk(quotes.parse(source)) if isinstance(node, imports))
    return sum(node.end_lineno - node.lineno + 1 for node in found)


def n_asserts(source: str) -> int:
    """Assert statements, and calls of torch's and NumPy's functions `assert_…`."""
    nodes = list(ast.walk(quotes.parse(source)))
    called = (node.func for node in nodes if isinstance(node, ast.Call))
    names = (getattr(name, "attr", getattr(name, "id", "")) for name in called)
    return sum(isinstance(node, ast.Assert) for node in nodes) + sum(
        name.startswith("assert_") for name in names
    )


def length(notebook: NotebookNode) -> Length:
    """How long the main line of a chapter is."""
    cells = list(main_line(notebook))
    code = [cell for cell in cells if cell.cell_type == "code"]
    in_view = [cell for cell in code if not HIDDEN & set(cell.metadata.get("tags", []))]
    return Length(
        words=sum(n_words(cell.source) for cell in cells if cell.cell_type == "markdown"),
        cells=len(code),
        imports=sum(n_import_lines(cell.source) for cell in code),
        asserts=sum(n_asserts(cell.source) for cell in in_view),
    )


def too_long(notebook: NotebookNode) -> Iterator[str]:
    """The quantities of a chapter that exceed their limits."""
    limits = asdict(LIMIT)
    for what, number in asdict(length(notebook)).items():
        if number > limits[what]:
            yield f"its main line has {number} {what}, more than {limits[what]}"


def main(paths: list[str]) -> None:
    """Print one line per chapter; a star marks a number above its limit."""
    chapters = [Path(path) for path in paths] or sorted((ROOT / "notebooks").glob("*.ipynb"))
    limits = asdict(LIMIT)
    print(f"{'chapter':24}", *(f"{what:>9}" for what in limits))
    for path in chapters:
        found = asdict(length(nbformat.read(path, as_version=4)))
        cells = (f"{n}{'*' if n > limits[what] else ' '}" for what, n in found.items())
        print(f"{path.stem:24}", *(f"{cell:>9}" for cell in cells))
    print(f"{'at most':24}", *(f"{n} ".rjust(9) for n in limits.values()))


if __name__ == "__main__":
    main(sys.argv[1:])
