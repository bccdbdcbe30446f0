"""The code a reader sees is the code that runs: compare quoted cells with the files they quote.

A quoted cell begins with a line that names its source and contains only the quote:

    # common/models/unet.py                         the definitions that the cell shows
    # common/models/unet.py: Down, UNet.forward     exactly these, in this order

A definition is taken with its decorators, the comments that touch it, and every blank line and
space inside it; a method is shown dedented by its class's indentation. `python tests/quotes.py`
reports what differs, `python tests/quotes.py --write` refreshes the quoted cells.
"""

from __future__ import annotations

import ast
import difflib
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import nbformat
from IPython.core.inputtransformer2 import TransformerManager

ROOT = Path(__file__).resolve().parent.parent
MARKER = re.compile(r"# (?P<path>common/[\w/]+\.py)(?:: *(?P<names>[\w., ]+))?")
EXEMPT_TAGS = {"exercise", "solution"}

# Chapters do not import scripts and checks, so they may use the same names: the check of
# an exercise is named after the function that the reader writes.
PRIVATE_PARTS = ("checks", "experiments", "__main__.py")

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


class QuoteError(Exception):
    """A quote that cannot be made: no such file, no such definition, or no Python."""


def parse(source: str, where: str = "the cell") -> ast.Module:
    """Parse a notebook cell, whose lines may also be `%magic` or `!command`."""
    source = re.sub(r"\A\s*%%.*\n?", "", source)
    try:
        return ast.parse(TransformerManager().transform_cell(source))
    except SyntaxError as error:
        raise QuoteError(f"{where} is not Python: {error}") from error


def definitions(body: list[ast.stmt]) -> dict[str, ast.stmt]:
    """What a module's or a class's body binds by `def`, `class` or assignment, by name."""
    found: dict[str, ast.stmt] = {}
    for node in body:
        if isinstance(node, Definition):
            found[node.name] = node
        elif isinstance(node, ast.Assign):
            found |= {target.id: node for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found[node.target.id] = node
    return found


def find(tree: ast.Module, name: str) -> ast.stmt:
    """The definition that a dotted name such as `UNet.forward` means."""
    body: list[ast.stmt] = tree.body
    for part in name.split("."):
        found = definitions(body).get(part)
        if found is None:
            raise QuoteError(f"there is no {name}")
        body = found.body if isinstance(found, ast.ClassDef) else []
    return found


def indent_of(line: str) -> int:
    """How many columns of white space a line begins with."""
    return len(line) - len(line.lstrip())


def cut(source: str, node: ast.stmt) -> str:
    """The lines of a definition with decorators and the comments that touch it, dedented."""
    lines = source.splitlines()
    decorators = getattr(node, "decorator_list", [])
    start = min([node.lineno, *(decorator.lineno for decorator in decorators)]) - 1
    end = node.end_lineno
    column = indent_of(lines[start])
    while start > 0 and re.match(rf" {{{column}}}#", lines[start - 1]):
        start -= 1
    if isinstance(node, Definition):  # a comment may be the last thing in a body
        while end < len(lines) and re.match(rf" {{{column + 1},}}#", lines[end]):
            end += 1
    return textwrap.dedent("\n".join(lines[start:end]))


def quote(cell: str, root: Path = ROOT) -> str:
    """What a quoted cell should contain, given the current files."""
    first_line = cell.split("\n", 1)[0].rstrip()
    marker = MARKER.fullmatch(first_line)
    if marker is None:
        raise QuoteError(f"{first_line!r} should read `# common/file.py` or `…: Name, Other.name`")
    path = root / marker["path"]
    if not path.is_file():
        raise QuoteError(f"{marker['path']} does not exist")
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    if marker["names"]:
        names = [name.strip() for name in marker["names"].split(",")]
    else:
        names = list(definitions(parse(cell).body))
    if not names:
        raise QuoteError(f"{first_line!r} names no definition and shows none")
    try:
        parts = [cut(source, find(tree, name)) for name in names]
    except QuoteError as error:
        raise QuoteError(f"{error} in {marker['path']}") from error
    return "\n".join([first_line, "\n\n\n".join(parts)])


def is_quote(cell: str) -> bool:
    """Whether a cell is marked as a quote."""
    return bool(re.match(r"#\s*common/\S*\.py", cell))


def public_names(root: Path = ROOT) -> dict[str, str]:
    """Every public top-level name of `common` that a chapter could import → the file it is in."""
    names: dict[str, str] = {}
    for path in sorted((root / "common").rglob("*.py")):
        relative = path.relative_to(root)
        if relative.parts[1] in PRIVATE_PARTS:
            continue
        for name in definitions(ast.parse(path.read_text(encoding="utf-8")).body):
            if not name.startswith("_"):
                names.setdefault(name, relative.as_posix())
    return names


def defined_in(body: list[ast.stmt]) -> Iterator[str]:
    """Names that `def` or `class` bind in the scope of `body`, also below `if`, `for` or `with`."""
    for node in body:
        if isinstance(node, Definition):
            yield node.name
        else:
            for field in ("body", "orelse", "finalbody", "handlers"):
                yield from defined_in(getattr(node, field, []))


def problems(notebook: nbformat.NotebookNode, root: Path = ROOT) -> list[str]:
    """All differences between a notebook's quotes and the quoted files."""
    public = public_names(root)
    found = []
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        where = f"cell {number}"
        try:
            if is_quote(cell.source):
                expected = quote(cell.source, root)
                if cell.source != expected:
                    found.append(f"{where} differs from its file:\n{_diff(cell.source, expected)}")
            elif not EXEMPT_TAGS & set(cell.metadata.get("tags", [])):
                for name in defined_in(parse(cell.source).body):
                    if name in public:
                        found.append(
                            f"{where} defines {name}, which {public[name]} defines: quote it "
                            f"(first line `# {public[name]}: {name}`) or choose another name"
                        )
        except QuoteError as error:
            found.append(f"{where}: {error}")
    return found


def _diff(cell: str, expected: str) -> str:
    lines = difflib.unified_diff(cell.split("\n"), expected.split("\n"), "cell", "file", "", "", 1)
    return "\n".join(line.rstrip("\n") for line in lines)


def rewrite(path: Path, root: Path = ROOT) -> int:
    """Refresh the quoted cells of a notebook file; return how many changed.

    A quote that cannot be made stays as it is: `problems` reports it.
    """
    notebook = nbformat.read(path, as_version=4)
    changed = 0
    for cell in notebook.cells:
        if cell.cell_type == "code" and is_quote(cell.source):
            try:
                expected = quote(cell.source, root)
            except QuoteError:
                continue
            changed += expected != cell.source
            cell.source = expected
    if changed:
        nbformat.write(notebook, path)
    return changed


def main(arguments: list[str]) -> int:
    """Report differences, or with `--write` remove them; 1 if anything is left."""
    left = 0
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        if "--write" in arguments:
            changed = rewrite(path)
            if changed:
                print(f"{path.name}: refreshed {changed} quoted cells")
        for problem in problems(nbformat.read(path, as_version=4)):
            left += 1
            print(f"{path.name}: {problem}")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
