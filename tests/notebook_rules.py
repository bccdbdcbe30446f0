"""Rules for chapters: each rule takes a notebook and reports what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import quotes
from exercises import tagged
from nbformat import NotebookNode
from setup_cell import TAGS

WIDTH = 79
LONGEST = 40
LONG = 20

# The end of one sentence and the start of the next. Full stops that do not end a sentence are
# removed first: those of abbreviations, initials, and the numbers of list items.
SENTENCE_END = re.compile(r"[^\s.][.!?][\"”’'*_)\]]* +[\"“‘*_(\[]*[A-ZÄÖÜ]")
NO_SENTENCE_END = re.compile(
    r"\b(e\.g|i\.e|cf|al|vs|ca|approx|Fig|Figs|Eq|Eqs|Sec|Ch|No|Nos|Dr|St|Jr|pp?|ed|eds|vol|[A-Z])\."
)
LIST_ITEM = re.compile(r"\s*([-*+]|\d+[.)]|:|\[\^)")
WRAPPED = re.compile(r"[a-z]$")

FORBIDDEN = {
    r"warnings\.(filter|simple|catch)|filterwarnings": "a warning filter",
    r"sys\.path\b": "sys.path",
    r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b": "unfinished work",
    r"except\s*(Exception|BaseException)?\s*(as \w+)?:": "an except that catches everything",
    r"(^|[\s\"'(])(/(home|root|Users|tmp|work|mnt)/|[A-Z]:\\)": "a path of one machine",
}

IMAGE = re.compile(r"!\[(?P<alt>[^\]]*)\]\((?P<target>[^)\s]+)[^)]*\)")
IMG_TAG = re.compile(r"<img\b[^>]*>", re.S)
FIGURE = re.compile(
    r"^(?:`{3,}|:{3,})\{(?:figure|image)\} *(?P<target>\S+)\n(?P<options>(?::[\w-]+:.*\n)*)", re.M
)
CITATION = re.compile(r"\{cite(?::\w+)?\}`([^`]+)`")


def markdown_cells(notebook: NotebookNode) -> Iterator[tuple[int, str]]:
    """The number and text of every markdown cell."""
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            yield number, cell.source


def code_cells(notebook: NotebookNode) -> Iterator[tuple[int, NotebookNode]]:
    """The number and node of every code cell."""
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            yield number, cell


def not_stripped(notebook: NotebookNode) -> Iterator[str]:
    """Outputs, run counts and metadata that change with every run stay out of the repository."""
    if notebook.metadata != {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}
    }:
        yield "its metadata is more, or other, than the kernelspec python3"
    ids = [cell.get("id") for cell in notebook.cells]
    if None in ids or len(set(ids)) != len(ids):
        yield "cell ids are missing or doubled"
    for number, cell in enumerate(notebook.cells):
        if cell.get("outputs") or cell.get("execution_count"):
            yield f"cell {number} has outputs: run nbstripout --keep-id"
        if extra := set(cell.metadata) - {"tags", "mystnb"}:
            yield f"cell {number} has metadata {sorted(extra)}"
        if cell.get("attachments"):
            yield f"cell {number} has attachments: put the picture into book/figures"


def prose_lines(text: str) -> Iterator[str]:
    """The lines of running text: no code, formulas, tables, headings or directives; '' between."""
    text = re.sub(r"^(`{3,}|~{3,})[^\n]*\n.*?^\1`*~*$", "", text, flags=re.M | re.S)
    text = re.sub(r"^\$\$.*?\$\$[^\n]*$", "", text, flags=re.M | re.S)
    text = IMAGE.sub("", text)
    text = re.sub(r"`[^`\n]+`|\$[^$\n]+\$", "x", text)
    for line in text.split("\n"):
        yield "" if re.match(r"\s*(\||#|:{3,}|:[\w-]+:|<|\[\^?\w+\]:|---)", line) else line.rstrip()


def not_a_sentence_a_line(notebook: NotebookNode) -> Iterator[str]:
    """One sentence per line, so that diffs are readable; a list of references may differ."""
    references = False
    for number, text in markdown_cells(notebook):
        if text.startswith("#"):
            references = "References" in text.split("\n")[0]
        if references:
            continue
        before = ""
        for line in prose_lines(text):
            bare = re.sub(r"^\s*(>\s*)*([-*+]|\d+[.)])\s+", "", line)
            bare = NO_SENTENCE_END.sub(lambda match: match[1].replace(".", ""), bare)
            if SENTENCE_END.search(bare):
                yield f"cell {number} has two sentences in the line {line.strip()!r}"
            starts_small = re.match(r"\s*[a-z]", line) and not LIST_ITEM.match(line)
            if WRAPPED.search(before) and starts_small:
                yield f"cell {number} breaks a sentence before {line.strip()!r}"
            before = line


def badly_shaped_cells(notebook: NotebookNode) -> Iterator[str]:
    """Narrow, short cells, and about as much prose as code."""
    lengths = []
    for number, cell in code_cells(notebook):
        lines = cell.source.split("\n")
        for line in lines:
            if len(line) > WIDTH:
                yield f"cell {number} is {len(line)} columns wide: {line.strip()[:50]!r}"
        quoted = quotes.is_quote(cell.source)
        if len(lines) - quoted > LONGEST:
            yield f"cell {number} has {len(lines) - quoted} lines"
        if not cell.source.strip():
            yield f"cell {number} is empty"
        if not quoted:
            lengths.append(len(lines))
    if sum(length > LONG for length in lengths) * 10 > len(lengths):
        yield f"more than 1 in 10 of its own code cells has over {LONG} lines"
    prose = sum(1 for _ in markdown_cells(notebook))
    code = sum(1 for _ in code_cells(notebook))
    if not 0.6 <= prose / max(code, 1) <= 1.7:
        yield f"{prose} markdown cells and {code} code cells: about as many of each, please"


def bad_opening(notebook: NotebookNode, setup: str) -> Iterator[str]:
    """A title, then the set-up cell that every chapter shares, then one imports cell."""
    first = notebook.cells[0]
    if first.cell_type != "markdown" or not first.source.startswith("# "):
        yield "it does not begin with its title"
    code = [cell for _, cell in code_cells(notebook)]
    if tagged(notebook, "colab") != [setup]:
        yield "its Colab set-up cell is not the book's: run python tests/setup_cell.py --write"
    elif code[0].metadata.get("tags") != TAGS:
        yield f"its first code cell is not the set-up cell with the tags {TAGS}"
    if len(tagged(notebook, "imports")) != 1:
        yield "it has not exactly one cell tagged imports"


def forbidden_code(notebook: NotebookNode, setup: str = "") -> Iterator[str]:
    """Forbidden text in a chapter's code and, as far as it applies, in its prose."""
    for number, cell in enumerate(notebook.cells):
        for pattern, what in FORBIDDEN.items():
            if cell.source != setup and re.search(pattern, cell.source, re.M):
                yield f"cell {number} has {what}"
        if cell.cell_type == "code" and re.search(r"[\"']\.\./", cell.source):
            yield f"cell {number} has a path that begins where the reader happens to be"


def images(text: str) -> Iterator[tuple[str, str]]:
    """The target and alternative text of every picture in a markdown text."""
    for match in IMAGE.finditer(text):
        yield match["target"], match["alt"]
    for tag in IMG_TAG.findall(text):
        parts = dict(re.findall(r"(\w+)\s*=\s*[\"']([^\"']*)[\"']", tag))
        yield parts.get("src", ""), parts.get("alt", "")
    for match in FIGURE.finditer(text):
        alt = re.search(r"^:alt: *(.*)$", match["options"], re.M)
        yield match["target"], alt[1] if alt else ""


def bad_images(text: str, folder: Path) -> Iterator[str]:
    """Every image exists in the repository and has alternative text."""
    for target, alt in images(text):
        if re.match(r"https?:|//", target):
            yield f"{target} is loaded from elsewhere"
        elif not (folder / target).is_file():
            yield f"{target} does not exist"
        if len(alt.split()) < 2:
            yield f"{target} has no alternative text"


def unknown_citations(text: str, keys: set[str]) -> Iterator[str]:
    """Every work that the text cites is in references.bib."""
    for group in CITATION.findall(text):
        for key in group.split(","):
            if key.strip() not in keys:
                yield f"{key.strip()} is cited and not in references.bib"


def undescribed_plots(notebook: NotebookNode) -> Iterator[str]:
    """A cell that plots has alternative text in its metadata (`mystnb: {image: {alt: …}}`)."""
    for number, cell in code_cells(notebook):
        draws = re.search(
            r"^(\w.*= *)?(\w+\.)*(subplots|figure|plot|plot_\w+)\(", cell.source, re.M
        )
        if draws and not quotes.is_quote(cell.source):
            alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
            if len(alt.split()) < 3:
                yield f"cell {number} draws, and no alternative text says what"
