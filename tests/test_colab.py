"""The edition for Colab: all markup is translated, the code is the chapters' code, and it runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import colab_edition
import colab_run
import nbformat
import pytest
from colab_edition import (
    Book,
    citations,
    folded,
    left_raw,
    links,
    pages_url,
    pictures,
    terms,
    title,
    translated,
)
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from setup_cell import ROOT, TAGS, repository_url, setup_cell

BOOK = colab_edition.read_book()
CHAPTERS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PAGES = "https://ann.github.io/music/"
SMALL = Book(
    PAGES,
    {"luo2018": ("Luo and Mesgarani", "2018"), "huang2014": ("Huang et al.", "2014")},
    {"short-time fourier transform": "short-time Fourier transform", "blstm": "BLSTM"},
)
REFERENCES, GLOSSARY = f"{PAGES}book/references.html#cite-", f"{PAGES}book/glossary.html#term-"
HUANG = f"[Huang et al., 2014]({REFERENCES}huang2014)"
LUO = f"[Luo and Mesgarani, 2018]({REFERENCES}luo2018)"


def test_pages_are_published_under_the_owners_name() -> None:
    assert pages_url("https://github.com/Ann/Music") == "https://ann.github.io/Music/"
    assert pages_url("https://github.com/Ann/ann.github.io") == "https://ann.github.io/"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("So {cite:p}`huang2014`.", f"So ({HUANG})."),
        ("{cite}`huang2014, luo2018`", f"({HUANG}; {LUO})"),
        ("{cite:t}`huang2014`", f"[Huang et al. (2014)]({REFERENCES}huang2014)"),
    ],
)
def test_citations_name_authors_and_year(text: str, expected: str) -> None:
    assert citations(text, SMALL) == expected


def test_authors_are_named_as_the_pages_name_them() -> None:
    names = {key: names for key, (names, _) in BOOK.works.items()}
    assert names["wang2005ideal"] == "Wang"
    assert names["defossez2021hybrid"] == "Défossez"
    assert names["allen1977unified"] == "Allen and Rabiner"
    assert names["stoter2018sisec"] == "Stöter et al."
    assert names["huang2014singing"] == "Huang et al."
    assert not [name for name in names.values() if re.search(r"[{}\\]", name)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A {term}`BLSTM`.", f"A [BLSTM]({GLOSSARY}BLSTM)."),
        ("{term}`two ways <BLSTM>`", f"[two ways]({GLOSSARY}BLSTM)"),
        (
            "{term}`Short-time Fourier transform`",
            f"[Short-time Fourier transform]({GLOSSARY}short-time-Fourier-transform)",
        ),
    ],
)
def test_terms_lead_to_the_glossary(text: str, expected: str) -> None:
    assert terms(text, SMALL) == expected


def test_terms_are_read_from_the_glossary() -> None:
    page = "# Glossary\n\n```{glossary}\nA b\nC\n  Means this.\n\nd\n  And this.\n```\n\nThe end.\n"
    assert colab_edition.glossary_terms(page) == {"a b": "A b", "c": "C", "d": "d"}
    assert "stem" in BOOK.terms


def test_pictures_are_those_of_the_pages() -> None:
    text = "![Two waves.](../book/figures/a.svg) and ![x](https://a.example/b.png)"
    expected = f"![Two waves.]({PAGES}_images/a.svg) and ![x](https://a.example/b.png)"
    assert pictures(text, SMALL) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[chapter 3](03_masks.ipynb)", f"[chapter 3]({PAGES}notebooks/03_masks.html)"),
        ("[a](03_masks.ipynb#the-sum)", f"[a]({PAGES}notebooks/03_masks.html#the-sum)"),
        ("[a](../book/how_to_use.md)", f"[a]({PAGES}book/how_to_use.html)"),
        ("[a](https://a.example/b.md)", "[a](https://a.example/b.md)"),
    ],
)
def test_links_lead_to_the_pages(text: str, expected: str) -> None:
    assert links(text, SMALL) == expected


def code(source: str, *tags: str) -> NotebookNode:
    return new_code_cell(source, metadata={"tags": list(tags)})


def test_a_folded_cell_shows_its_title() -> None:
    cell = folded(code("x = 1", "hide-input"), "Code")
    assert cell.source == "# @title Code\nx = 1"
    assert cell.metadata.cellView == "form"
    assert cell.metadata.jupyter == {"source_hidden": True}
    assert "collapsed" not in cell.metadata
    key = folded(code("blind", "hide-cell"), "Answer")
    assert key.metadata.jupyter == {"source_hidden": True, "outputs_hidden": True}
    assert key.metadata.collapsed is True
    assert folded(key, "Another") == key


def test_what_the_pages_fold_has_a_title() -> None:
    drawn = code("plot()", "hide-input")
    drawn.metadata.mystnb = {"image": {"alt": "A wave"}}
    assert title(drawn, 0) == "Code of the figure"
    assert title(code("x = 1", "hide-input"), 0) == "Code"
    assert title(code("blind", "hide-cell"), 0) == "Answer"
    assert title(code("def f(): ...", "solution", "hide-cell"), 3) == "Solution of exercise 3"
    assert title(code("x = 1"), 0) is None
    assert title(code("x = 1", "exercise"), 0) is None
    assert title(code("set up", *TAGS), 0) is None


def test_solutions_are_counted() -> None:
    solutions = [code(f"x = {i}", "solution", "hide-cell") for i in range(2)]
    done = translated(new_notebook(cells=solutions), SMALL)
    assert [cell.source.split("\n")[0] for cell in done.cells] == [
        "# @title Solution of exercise 1",
        "# @title Solution of exercise 2",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "So {cite:p}`huang2014`.",
        "{term}`BLSTM`",
        "See {ref}`fig-a`.",
        "```{figure} a.svg\nA wave.\n```",
        ":::{note}\nA note.\n:::",
        "(sec-a)=\n## A heading",
        "$$\nx = 1\n$$ (eq-a)",
        "$$x = 1$$ (eq-a)",
        "A note.[^1]",
        "[](https://a.example/)",
        "[chapter 3](03_masks.ipynb)",
        "[here](#a-heading)",
        "![A wave.](../book/figures/a.svg)",
        '<img src="a.svg" alt="A wave.">',
    ],
)
def test_what_is_left_raw_is_noticed(text: str) -> None:
    assert list(left_raw(new_notebook(cells=[new_markdown_cell(text)])))


@pytest.mark.parametrize(
    "text",
    [
        f"So ({HUANG}).",
        "A call `f[i](x)`, a path `runs/{name}`, a formula $E[x](t)$ and 3 dB (less).",
        "```python\nx[0](y)\n```",
        "$$\nx = 1\n$$\n\n(mean)",
    ],
)
def test_what_reads_well_is_not_raw(text: str) -> None:
    assert list(left_raw(new_notebook(cells=[new_markdown_cell(text)]))) == []


def test_what_is_not_folded_is_noticed() -> None:
    notebook = new_notebook(cells=[code("blind", "hide-cell"), code("set up", *TAGS)])
    assert list(left_raw(notebook)) == ["cell 0 is not folded"]


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_chapter(path: Path) -> None:
    chapter = nbformat.read(path, as_version=4)
    before = deepcopy(chapter)
    edition = translated(chapter, BOOK)
    assert chapter == before
    nbformat.validate(edition)
    assert list(left_raw(edition)) == []
    assert translated(edition, BOOK) == edition
    for ours, theirs in zip(chapter.cells, edition.cells, strict=True):
        assert theirs.id == ours.id
        if ours.cell_type == "code":
            assert re.sub(r"\A# @title .*\n", "", theirs.source) == ours.source
        else:
            assert theirs.source.count("\n") == ours.source.count("\n")


def test_every_chapter_is_in_the_edition(tmp_path: Path) -> None:
    assert colab_edition.write_edition(tmp_path / "colab") == []
    written = {path.name for path in (tmp_path / "colab" / "notebooks").iterdir()}
    assert written == {path.name for path in CHAPTERS}
    assert "# Taking music apart" in (tmp_path / "colab" / "README.md").read_text("utf-8")


def without_extras(folder: Path) -> dict[str, str]:
    """Environment variables under which nussl, Scaper and soxbindings cannot be imported."""
    for name in ("nussl", "scaper", "soxbindings"):
        (folder / f"{name}.py").write_text(f"raise ModuleNotFoundError({name!r})\n")
    places = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(places)}


def test_the_first_chapter_runs_in_another_folder_without_the_extras(tmp_path: Path) -> None:
    (tmp_path / "modules").mkdir()
    (tmp_path / "content").mkdir()
    chapter = translated(nbformat.read(CHAPTERS[0], as_version=4), BOOK)
    place = {"metadata": {"path": str(tmp_path / "content")}}
    client = NotebookClient(chapter, timeout=300, kernel_name="python3", resources=place)
    client.execute(env=without_extras(tmp_path / "modules"))
    shown = [out for cell in chapter.cells for out in cell.get("outputs", [])]
    assert any("book-player" in out.get("data", {}).get("text/html", "") for out in shown)


def test_the_time_to_the_first_sound_is_counted_from_the_first_cell() -> None:
    def ran(begin: int, end: int, html: str) -> NotebookNode:
        cell = new_code_cell("x", outputs=[new_output("display_data", {"text/html": html})])
        times = {"iopub.status.busy": begin, "iopub.status.idle": end}
        cell.metadata.execution = {
            name: f"2026-08-19T12:00:{second:02}.500000Z" for name, second in times.items()
        }
        return cell

    cells = [new_markdown_cell("A"), ran(3, 20, "<p>"), ran(20, 31, '<div class="book-player">')]
    assert colab_run.seconds_after_start(cells) == [(17.0, False), (28.0, True)]


COLAB = """
import sys, types
from IPython.core.interactiveshell import InteractiveShell

if len(sys.argv) > 2:
    sys.modules["google.colab"] = types.ModuleType("google.colab")
InteractiveShell.instance().run_cell(sys.argv[1]).raise_error()
"""

COMMAND = """#!/bin/sh
echo "$(basename "$0") $*" >>log.txt
[ "$1" != list ] || printf 'numpy==2.1.3\\nmusdb==0.4.2\\ntorch==2.11.0+cu128\\n'
"""


@pytest.mark.parametrize("extras", [(), ("nussl",)])
def test_the_set_up_cell_installs_the_package_on_colab(
    extras: tuple[str, ...], tmp_path: Path
) -> None:
    for name in ("apt-get", "pip"):
        (tmp_path / name).write_text(COMMAND)
        (tmp_path / name).chmod(0o755)
    cell = setup_cell(repository_url(), extras)
    path = f"{tmp_path}:{os.environ['PATH']}"
    command = [sys.executable, "-c", COLAB, cell]
    settings = {"cwd": tmp_path, "env": {**os.environ, "PATH": path}, "check": True}
    subprocess.run(command, **settings)
    assert not (tmp_path / "log.txt").exists()
    subprocess.run([*command, "on Colab"], **settings)
    nussl, sox = ("[nussl]", "libsox-dev sox") if extras else ("", "")
    archive = f"{repository_url()}/archive/refs/heads/main.zip"
    assert (tmp_path / "log.txt").read_text().splitlines() == [
        "apt-get -qq update",
        f"apt-get -qq install -y libfluidsynth3 {sox}".strip(),
        "pip list --format=freeze",
        f"pip install -q -c keep.txt common{nussl} @ {archive}",
    ]
    assert (tmp_path / "keep.txt").read_text().splitlines() == [
        "numpy==2.1.3",
        "torch==2.11.0+cu128",
    ]
