"""The rules can fail: each is tested with text that breaks it and with text that does not."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import chapter_lengths
import file_rules
import notebook_rules
import pytest
import setup_cell
import word_rules
from nbformat import NotebookNode, read, write
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

SETUP = setup_cell.setup_cell("https://github.com/someone/book")
KERNEL = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
UNFINISHED = "TO" + "DO"
HOME = "/ho" + "me/me/song.wav"

Rule = Callable[[NotebookNode], Iterator[str]]


def chapter(*cells: NotebookNode) -> NotebookNode:
    opening = [
        new_markdown_cell("# Masks"),
        new_code_cell(SETUP, metadata={"tags": setup_cell.TAGS}),
        new_markdown_cell("What a mask is, e.g. for E. coli (cf. Fig. 2).\nIt is a number."),
        new_code_cell("import numpy as np", metadata={"tags": ["imports"]}),
    ]
    return new_notebook(cells=[*opening, *cells], metadata=KERNEL)


def opening(notebook: NotebookNode) -> Iterator[str]:
    return notebook_rules.bad_opening(notebook, SETUP)


def code(notebook: NotebookNode) -> Iterator[str]:
    return notebook_rules.forbidden_code(notebook, SETUP)


ALL_RULES: list[Rule] = [
    notebook_rules.not_stripped,
    notebook_rules.not_a_sentence_a_line,
    notebook_rules.badly_shaped_cells,
    notebook_rules.undescribed_plots,
    opening,
    code,
]

GOOD = [
    "One line.\nAnother: see `a. B`, $x. Y$ and [a link](x.md).",
    "![A wave. Then a mask.](a.svg)",
    "1. First.\n2. Second, 3.5 dB vs. 4.\n- A point.\n  And more of it.",
    "```\nno sentence. Here\nx = 1\n```\n\n| a. B | c |\n",
    "$$\na. B\nc\n$$ (eq-x)\n\nThat was all.",
    "## References\n\nHuang, P.-S. (2014). Deep learning. Proc. ICASSP.",
]
BAD_PROSE = ["One line. Another line.", 'He says "no." Then yes.', "A sentence that\nis broken."]
BAD_CODE = [
    "import warnings\nwarnings.filterwarnings('ignore')",
    "import sys\nsys.path.append('..')",
    f"# {UNFINISHED}: more",
    "try:\n    x\nexcept Exception:\n    pass",
    "try:\n    x\nexcept:\n    pass",
    f"load('{HOME}')",
    'open("../book/results/unet.json")',
]


@pytest.mark.parametrize("rule", ALL_RULES, ids=lambda rule: rule.__name__)
def test_good_chapters_pass(rule: Rule) -> None:
    assert list(rule(chapter())) == []


@pytest.mark.parametrize("text", GOOD)
def test_good_prose_passes(text: str) -> None:
    rule = notebook_rules.not_a_sentence_a_line
    assert list(rule(chapter(new_markdown_cell(text)))) == []


@pytest.mark.parametrize("text", BAD_PROSE)
def test_bad_prose_fails(text: str) -> None:
    rule = notebook_rules.not_a_sentence_a_line
    assert len(list(rule(chapter(new_markdown_cell(text))))) == 1


@pytest.mark.parametrize("source", BAD_CODE)
def test_bad_code_fails(source: str) -> None:
    assert len(list(code(chapter(new_code_cell(source))))) == 1


@pytest.mark.parametrize(
    "source",
    ["x" * 80, "\n" * 41, "", *["x = 1\n" * 21]],
    ids=["wide", "tall", "empty", "one-in-three-long"],
)
def test_bad_shapes_fail(source: str) -> None:
    found = notebook_rules.badly_shaped_cells(chapter(new_code_cell(source)))
    assert list(found)


def test_unbalanced_chapters_fail() -> None:
    many = [new_code_cell(f"x = {number}") for number in range(6)]
    assert list(notebook_rules.badly_shaped_cells(chapter(*many)))
    words = [new_markdown_cell("Words.") for _ in range(6)]
    assert list(notebook_rules.badly_shaped_cells(chapter(*words)))


def test_quotes_may_be_longer_than_other_cells() -> None:
    body = "\n".join(f"    x = {number}" for number in range(39))
    quote = new_code_cell(f"# common/signal/stft.py\ndef f():\n{body}")
    assert list(notebook_rules.badly_shaped_cells(chapter(quote))) == []
    quote.source += "\n    return x"
    assert len(list(notebook_rules.badly_shaped_cells(chapter(quote)))) == 1


def test_unstripped_notebooks_fail() -> None:
    for change in (
        {"outputs": [{"output_type": "stream", "name": "stdout", "text": "x"}]},
        {"execution_count": 3},
        {"metadata": {"tags": [], "scrolled": True}},
        {"id": None},
        {"attachments": {"a.png": {}}},
    ):
        notebook = chapter()
        notebook.cells[3].update(change)
        assert len(list(notebook_rules.not_stripped(notebook))) == 1
    notebook = chapter()
    notebook.metadata["language_info"] = {"version": "3.11"}
    assert len(list(notebook_rules.not_stripped(notebook))) == 1


def test_bad_openings_fail() -> None:
    def without(number: int) -> NotebookNode:
        notebook = chapter()
        del notebook.cells[number]
        return notebook

    changed = chapter()
    changed.cells[1].source += " "
    untagged = chapter()
    untagged.cells[1].metadata = {"tags": ["colab"]}
    for notebook in (without(0), without(1), without(3), changed, untagged):
        assert len(list(opening(notebook))) == 1


def test_drawings_need_words() -> None:
    for source in (
        "fig, ax = plt.subplots()",
        "plot_mask(mask)",
        "ax = viz.plot_mask(mask)",
        "x = 1\nplots.plot_history(history);",
        "axes = plots.figure(2.6, 1, 3)",
    ):
        cell = new_code_cell(source)
        assert len(list(notebook_rules.undescribed_plots(chapter(cell)))) == 1
        cell.metadata["mystnb"] = {"image": {"alt": "The mask of the vocals"}}
        assert list(notebook_rules.undescribed_plots(chapter(cell))) == []


def test_images(tmp_path: Path) -> None:
    (tmp_path / "a.svg").write_text("<svg/>")
    for good in (
        "![Two waves](a.svg)",
        '<img src="a.svg" alt="Two waves">',
        "```{figure} a.svg\n:name: fig-a\n:alt: Two waves\nCaption\n```",
    ):
        assert list(notebook_rules.bad_images(good, tmp_path)) == []
    for bad in (
        "![](a.svg)",
        "![Two waves](b.svg)",
        "![Two waves](https://example.org/a.svg)",
        '<img src="a.svg">',
        "```{figure} a.svg\n:name: fig-a\nCaption\n```",
        ":::{image} a.svg\n:::",
    ):
        assert len(list(notebook_rules.bad_images(bad, tmp_path))) == 1


def test_citations() -> None:
    text = "{cite:p}`a2000,b2001` and {cite}`c2002`"
    assert list(notebook_rules.unknown_citations(text, {"a2000", "b2001", "c2002"})) == []
    assert len(list(notebook_rules.unknown_citations(text, {"a2000"}))) == 2


def test_sizes_and_places() -> None:
    mega = file_rules.MEGABYTE
    card = {f"{name}.json": 1 for name in "abcdefghijklmnopq"}
    assert list(file_rules.too_large({"a.safetensors": 15 * mega, **card})) == []
    assert len(list(file_rules.too_large({"a.bin": 17 * mega}))) == 1
    two = {"a.safetensors": 4 * mega, "b.safetensors": 4 * mega}
    assert len(list(file_rules.too_large(two | card))) == 1
    many = {f"{name}.safetensors": 2.9 * mega for name in "abcdefghijklmnopq"}
    assert len(list(file_rules.too_large(many | card))) == 1
    assert len(list(file_rules.too_large({"a.safetensors": mega}))) == 1
    assert list(file_rules.too_large({"tests/reference/a.safetensors": mega})) == []
    assert list(file_rules.too_large({"book/reference/a.safetensors": mega})) == []
    assert list(file_rules.misplaced(["README.md", "common/a.py", ".ci/run"])) == []
    assert len(list(file_rules.misplaced(["notes.txt", "scripts/a.py"]))) == 2


def test_texts() -> None:
    assert list(file_rules.forbidden_text("a.md", "Nothing to do at home/office.")) == []
    for bad in (UNFINISHED, f"open('{HOME}')", "filterwarnings = ignore"):
        assert len(list(file_rules.forbidden_text("a.py", bad))) == 1
    assert list(file_rules.too_long("common/models/a.py", "\n" * 200)) == []
    assert len(list(file_rules.too_long("common/models/a.py", "\n" * 201))) == 1
    assert len(list(file_rules.too_long("common/a.py", "\n" * 301))) == 1


def test_lengths() -> None:
    words = "word " * chapter_lengths.LIMIT.words
    cells = [new_code_cell("assert x") for _ in range(chapter_lengths.LIMIT.asserts)]
    aside = new_markdown_cell("## Exercises\n" + words)
    assert (
        list(
            chapter_lengths.too_long(new_notebook(cells=[new_markdown_cell(words), *cells, aside]))
        )
        == []
    )
    long = new_notebook(
        cells=[new_markdown_cell(words + "word"), *cells, new_code_cell("assert x")]
    )
    assert len(list(chapter_lengths.too_long(long))) == 2


def test_words() -> None:
    plain = "The heapq module; dearth; clever; offset; handwritten; `learn`; one of which"
    assert list(word_rules.private_words(plain)) == []
    private = "A heap\nof Knobs: two_heaps, Whoever learnt it, a dear lesson, on its way up"
    found = list(word_rules.private_words(private))
    assert len(found) == 8
    assert "line 2 says 'Knobs' instead of logit, parameter" in found
    british = "A size of the prize: `color`, $gray$, [x](color.md), colour.\n```\ncenter\n```"
    assert list(word_rules.american_spellings(british)) == []
    american = "Normalized\n```\ncode\n```\ncolors behaviors centered modeling analyzed gray"
    found = list(word_rules.american_spellings(american))
    assert len(found) == 7
    assert "line 5 says 'gray' instead of grey" in found
    svg = "<svg><style>.dear {}</style><text class='dear'>The <tspan>mask</tspan></text></svg>"
    assert word_rules.visible_text(svg) == "The mask"


def test_addresses() -> None:
    ours = "https://github.com/someone/book"
    good = f"https://colab.research.google.com/github/someone/book/blob/main/x.ipynb\n{SETUP}"
    good += "\ngit clone https://github.com/someone/book"
    assert list(file_rules.wrong_addresses("a.md", good, ours)) == []
    bad = good.replace("someone", "somebody")
    assert len(list(file_rules.wrong_addresses("a.md", bad, ours))) == 3


def test_python() -> None:
    quiet = "try:\n    x\nexcept {}:\n    pass"
    for kind in ("Exception", "BaseException", "(ValueError, Exception)"):
        assert len(list(file_rules.catches_all("a.py", ast.parse(quiet.format(kind))))) == 1
    assert len(list(file_rules.catches_all("a.py", ast.parse(quiet.replace(" {}", ""))))) == 1
    assert list(file_rules.catches_all("a.py", ast.parse(quiet.format("OSError")))) == []
    loud = quiet.format("BaseException").replace("pass", "raise")
    assert list(file_rules.catches_all("a.py", ast.parse(loud))) == []
    dodge = "@pytest.mark." + "skip\ndef test(): ..."
    assert len(list(file_rules.dodged_tests("a.py", ast.parse(dodge)))) == 1


def test_pins() -> None:
    extras = {"book": ["jupyter-book>=1,<2"], "test": [], "nussl": [], "scaper": ["scaper"]}
    project = {"dependencies": ["torch>=2.4", "pretty_midi"], "optional-dependencies": extras}
    pins = "# pins\ntorch==2.13.0\npretty-midi==0.2.11\njupyter-book==1.0.4.post1\n"
    pins += "scaper==1.6.5\n"
    assert list(file_rules.unpinned(project, pins)) == []
    for before, after in (
        ("torch==2.13.0", "torch==2.3.0"),
        ("pretty-midi==0.2.11\n", ""),
        ("scaper==1.6.5\n", ""),
        ("# pins", "numpy>=2"),
        ("# pins", "nvidia-cublas==13.0"),
    ):
        assert len(list(file_rules.unpinned(project, pins.replace(before, after)))) == 1


def test_setup_cell_is_rewritten_in_place(tmp_path: Path) -> None:
    address = "https://github.com/elsewhere/book"
    write(chapter(), tmp_path / "a.ipynb")
    shim = new_code_cell("from common.support.nussl_compat import nussl")
    write(chapter(shim), tmp_path / "b.ipynb")
    assert setup_cell.write(tmp_path, address) == [tmp_path / "a.ipynb", tmp_path / "b.ipynb"]
    assert setup_cell.write(tmp_path, address) == []
    plain, extra = (read(tmp_path / name, 4).cells[1].source for name in ("a.ipynb", "b.ipynb"))
    pairs = zip(plain.split("\n"), extra.split("\n"), strict=True)
    assert [pair for pair in pairs if len(set(pair)) > 1] == [
        ('    extras, sox = "", ""', '    extras, sox = "[nussl]", "libsox-dev sox"')
    ]
    assert max(len(line) for line in extra.split("\n")) <= notebook_rules.WIDTH


def test_the_address_is_changed_in_its_one_place(tmp_path: Path) -> None:
    config = (setup_cell.ROOT / "_config.yml").read_text(encoding="utf-8")
    (tmp_path / "_config.yml").write_text(config, encoding="utf-8")
    setup_cell.move_to("ann/music", tmp_path)
    assert setup_cell.repository_url(tmp_path) == "https://github.com/ann/music"
    changed = (tmp_path / "_config.yml").read_text(encoding="utf-8")
    assert changed.replace("ann/music", "OWNER/REPO") == config.replace(
        setup_cell.repository_url().removeprefix("https://github.com/"), "OWNER/REPO"
    )
    for wrong in ("music", "https://github.com/ann/music", "ann/mu sic"):
        with pytest.raises(SystemExit, match="write OWNER/REPO"):
            setup_cell.move_to(wrong, tmp_path)
