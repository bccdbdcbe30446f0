#!/usr/bin/env python
"""Translate the chapters for Colab and plain Jupyter, which would show the book's markup raw.

Usage: colab_edition.py, which writes _build/colab. Citations, glossary terms and links lead to the
published pages, pictures come from there, and cells that the pages fold are folded here too. Code
is unchanged except for a title above each folded cell. Fails if any raw markup is left.
"""

from __future__ import annotations

import posixpath
import re
import shutil
import sys
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import nbformat
import yaml
from nbformat import NotebookNode
from pybtex.database import Entry, parse_file
from pybtex.richtext import Text

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "_build" / "colab"

README = """# {title}: the chapters for Colab

A script makes this branch from {repository}; please change the chapters there.
The licences are those of the repository.
"""

CITATION = re.compile(r"\{cite(?::(?P<kind>\w+))?\}`(?P<keys>[^`]+)`")
TERM = re.compile(r"\{term\}`(?:(?P<shown>[^`<]+?) *<(?P<term>[^`>]+)>|(?P<word>[^`<]+))`")
PICTURE = re.compile(r"(?<=!\[)(?P<alt>[^\]]*)\]\((?![a-z]+:)(?P<path>[^)\s]+)")
LINK = re.compile(r"\]\((?P<path>[\w./-]+)\.(?:ipynb|md)(?P<anchor>#[\w.-]+)?(?=[)\s])")
GLOSSARY = re.compile(r"^(?P<fence>`{3,})\{glossary\}\n(?P<body>.*?)^(?P=fence)$", re.M | re.S)

FENCE, SPAN = r"^(`{3,})[^{\n]*\n.*?^\1$", r"(?<!\})`[^`\n]+`"
NOT_PROSE = re.compile(rf"{FENCE}|{SPAN}|\$[^$\n]+\$", re.M | re.S)
RAW = {
    "a role": r"\{[a-z][\w:-]*\}`",
    "a directive": r"^ *(`{3,}|~{3,}|:{3,})\{",
    "a label": r"^\([\w:.-]+\)=|\$ *\([\w:.-]+\)$",
    "a footnote": r"\[\^\w+\]",
    "a link without text": r"(?<!!)\[\]\(",
    "a relative link": r"\]\((?!https://|mailto:)",
    "a picture or link in HTML": r"<(img|a)\b",
}


@dataclass(frozen=True)
class Book:
    """What the translation needs: the address of the pages, and the works and terms they list.

    pages: an address that ends in a slash; works: authors and year by citation key; terms: each
    term of the glossary as it is written there, by its lower-case form.
    """

    pages: str
    works: dict[str, tuple[str, str]]
    terms: dict[str, str]


def pages_url(repository: str) -> str:
    """Where GitHub publishes the pages of the repository https://github.com/OWNER/REPO."""
    owner, name = repository.rstrip("/").split("/")[-2:]
    host = f"{owner.lower()}.github.io"
    return f"https://{host}/" if name.lower() == host else f"https://{host}/{name}/"


def authors(entry: Entry) -> str:
    """The authors of a work as a citation names them: "Luo and Mesgarani", "Huang et al."."""
    names = [
        str(Text.from_latex(" ".join(person.prelast_names + person.last_names)))
        for person in entry.persons["author"]
    ]
    return f"{names[0]} et al." if len(names) > 2 else " and ".join(names)


def glossary_terms(text: str) -> dict[str, str]:
    """The terms that a page's glossary explains: its lines that are not indented."""
    lines = "\n".join(match["body"] for match in GLOSSARY.finditer(text)).split("\n")
    return {line.strip().lower(): line.strip() for line in lines if re.match(r"[^\s:]", line)}


def read_book(root: Path = ROOT) -> Book:
    """The book's address, works and terms, from its own files."""
    entries = parse_file(root / "book/references.bib").entries
    return Book(
        pages_url(configuration(root)["repository"]["url"]),
        {key: (authors(entry), entry.fields["year"]) for key, entry in entries.items()},
        glossary_terms((root / "book/glossary.md").read_text(encoding="utf-8")),
    )


def configuration(root: Path = ROOT) -> dict:
    """The book's settings."""
    return yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))


def citations(text: str, book: Book) -> str:
    """Citations in words, each with a link to the work in the published list of references."""

    def shown(match: re.Match) -> str:
        links = []
        for key in match["keys"].split(","):
            names, year = book.works[key.strip()]
            words = f"{names} ({year})" if match["kind"] == "t" else f"{names}, {year}"
            links.append(f"[{words}]({book.pages}book/references.html#cite-{key.strip()})")
        return ", ".join(links) if match["kind"] == "t" else f"({'; '.join(links)})"

    return CITATION.sub(shown, text)


def terms(text: str, book: Book) -> str:
    """Terms of the glossary as links to what the published glossary says."""

    def shown(match: re.Match) -> str:
        word = match["word"] or match["term"]
        anchor = re.sub(r"[^a-zA-Z0-9._]+", "-", book.terms[word.strip().lower()]).strip("-")
        return f"[{match['shown'] or word}]({book.pages}book/glossary.html#term-{anchor})"

    return TERM.sub(shown, text)


def pictures(text: str, book: Book) -> str:
    """Pictures from the published pages: Colab shows no SVG that is embedded in a notebook."""
    address = f"{book.pages}_images/"
    return PICTURE.sub(lambda m: f"{m['alt']}]({address}{posixpath.basename(m['path'])}", text)


def links(text: str, book: Book) -> str:
    """Links between chapters and pages as links to the published pages."""

    def shown(match: re.Match) -> str:
        page = posixpath.normpath(posixpath.join("notebooks", match["path"]))
        return f"]({book.pages}{page}.html{match['anchor'] or ''}"

    return LINK.sub(shown, text)


def folded(cell: NotebookNode, title: str) -> NotebookNode:
    """A code cell that shows only its title; one tagged `hide-cell` hides its output too."""
    if cell.source.startswith("# @title "):
        return cell
    cell = deepcopy(cell)
    cell.source = f"# @title {title}\n{cell.source}"
    cell.metadata.cellView = "form"
    cell.metadata.jupyter = {"source_hidden": True}
    if "hide-cell" in cell.metadata.tags:
        cell.metadata.jupyter["outputs_hidden"] = cell.metadata.collapsed = True
    return cell


def title(cell: NotebookNode, number: int) -> str | None:
    """The title of a folded cell, None for a visible one; number: of the last solution."""
    tags = cell.metadata.get("tags", [])
    if "solution" in tags:
        return f"Solution of exercise {number}"
    if "hide-cell" in tags:
        return "Answer"
    if "hide-input" in tags and "colab" not in tags:  # the set-up cell stays as it is
        return "Code of the figure" if "mystnb" in cell.metadata else "Code"
    return None


def translated(notebook: NotebookNode, book: Book) -> NotebookNode:
    """A chapter for plain notebooks; one that is translated already is returned unchanged."""
    notebook, number = deepcopy(notebook), 0
    for place, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            for translate in (citations, terms, pictures, links):
                cell.source = translate(cell.source, book)
        elif cell.cell_type == "code":
            number += "solution" in cell.metadata.get("tags", [])
            if shown := title(cell, number):
                notebook.cells[place] = folded(cell, shown)
    return notebook


def left_raw(notebook: NotebookNode) -> Iterator[str]:
    """What a plain notebook would show raw, fail to load, or show although it should be folded."""
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            prose = NOT_PROSE.sub("x", cell.source)
            for what, pattern in RAW.items():
                for match in re.finditer(pattern, prose, re.M):
                    yield f"cell {number} has {what}: {prose[match.start() :][:50]!r}"
        elif title(cell, 0) and "cellView" not in cell.metadata:
            yield f"cell {number} is not folded"


def write_edition(output: Path, root: Path = ROOT) -> list[str]:
    """Write the edition into a new folder; returns one line for each problem in it."""
    shutil.rmtree(output, ignore_errors=True)
    (output / "notebooks").mkdir(parents=True)
    book, found = read_book(root), []
    for path in sorted((root / "notebooks").glob("*.ipynb")):
        chapter = translated(nbformat.read(path, as_version=4), book)
        nbformat.validate(chapter)
        nbformat.write(chapter, output / "notebooks" / path.name)
        found += [f"{path.name}: {problem}" for problem in left_raw(chapter)]
    config = configuration(root)
    text = README.format(title=config["title"], repository=config["repository"]["url"])
    (output / "README.md").write_text(text, encoding="utf-8")
    return found


if __name__ == "__main__":
    raw = write_edition(OUTPUT)
    print("\n".join(raw) or f"The edition for Colab is written: {OUTPUT}")
    sys.exit(bool(raw))
