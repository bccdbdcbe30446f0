"""The repository and its chapters follow the rules of the project."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import chapter_lengths
import file_rules
import nbformat
import notebook_rules
import pytest
import word_rules
import yaml
from setup_cell import ROOT, needed_extras, repository_url, setup_cell

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
TRACKED = file_rules.tracked(ROOT)
TEXTS = {
    name: (ROOT / name).read_text(encoding="utf-8")
    for name in TRACKED
    if Path(name).suffix in file_rules.TEXT and not name.startswith(file_rules.VENDORED)
}
CODE = {name: ast.parse(text) for name, text in TEXTS.items() if name.endswith(".py")}
REFERENCES = re.findall(r"^@\w+\{([^,\s]+),", (ROOT / "book/references.bib").read_text(), re.M)
KEYS = set(REFERENCES)
WORDS_THEMSELVES = {"tests/word_rules.py", "tests/test_hygiene_rules.py"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_chapter(path: Path) -> None:
    chapter = nbformat.read(path, as_version=4)
    setup = setup_cell(repository_url(), needed_extras(chapter))
    found = [
        *chapter_lengths.too_long(chapter),
        *notebook_rules.not_stripped(chapter),
        *notebook_rules.not_a_sentence_a_line(chapter),
        *notebook_rules.badly_shaped_cells(chapter),
        *notebook_rules.bad_opening(chapter, setup),
        *notebook_rules.forbidden_code(chapter, setup),
        *notebook_rules.undescribed_plots(chapter),
    ]
    for number, text in notebook_rules.markdown_cells(chapter):
        wrong = [
            *notebook_rules.bad_images(text, path.parent),
            *notebook_rules.unknown_citations(text, KEYS),
            *word_rules.american_spellings(text),
        ]
        found += [f"cell {number}: {problem}" for problem in wrong]
    for number, cell in enumerate(chapter.cells):
        found += [f"cell {number}: {word}" for word in word_rules.private_words(cell.source)]
    assert found == [], "\n".join([path.name, *found])


def test_prose_pages() -> None:
    found = []
    for name, text in TEXTS.items():
        if name.endswith(".md"):
            found += notebook_rules.bad_images(text, (ROOT / name).parent)
        if name.startswith("book/") and name.endswith(".md"):
            found += notebook_rules.unknown_citations(text, KEYS)
    assert found == [], "\n".join(found)


def test_no_reference_stands_twice() -> None:
    assert sorted(REFERENCES) == sorted(KEYS)


def test_every_chapter_is_in_the_table_of_contents() -> None:
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    listed = [page["file"] for part in toc["parts"] for page in part["chapters"]]
    chapters = {f"notebooks/{path.stem}" for path in NOTEBOOKS}
    assert {page for page in listed if page.startswith("notebooks/")} == chapters
    pages = {f"book/{path.stem}" for path in (ROOT / "book").glob("*.md")}
    assert {page for page in [*listed, toc["root"]] if page.startswith("book/")} == pages


def test_nothing_is_misplaced_or_too_large() -> None:
    sizes = {name: (ROOT / name).stat().st_size for name in TRACKED}
    assert [*file_rules.misplaced(TRACKED), *file_rules.too_large(sizes)] == []


def test_texts() -> None:
    repository = repository_url()
    found = []
    for name, text in TEXTS.items():
        if name not in file_rules.RULES:
            found += file_rules.forbidden_text(name, text)
            found += file_rules.wrong_addresses(name, text, repository)
        found += file_rules.too_long(name, text)
    assert found == [], "\n".join(found)


def test_words() -> None:
    found = []
    for name, text in TEXTS.items():
        if name.endswith((".json", ".ipynb")) or name in WORDS_THEMSELVES:
            continue
        found += [f"{name}: {problem}" for problem in word_rules.private_words(text)]
        if name.endswith(".md"):
            found += [f"{name}: {problem}" for problem in word_rules.american_spellings(text)]
    for path in sorted((ROOT / "book").rglob("*.svg")):
        text = word_rules.visible_text(path.read_text(encoding="utf-8"))
        words = [*word_rules.private_words(text), *word_rules.american_spellings(text)]
        found += [f"{path.name}: {problem}" for problem in words]
    assert found == [], "\n".join(found)


def test_code() -> None:
    found = []
    for name, tree in CODE.items():
        found += file_rules.catches_all(name, tree)
        if name.startswith("tests/"):
            found += file_rules.dodged_tests(name, tree)
    assert found == [], "\n".join(found)


def test_ruff_has_no_complaint() -> None:
    ruff = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--quiet",
        "--no-cache",
        "--output-format=concise",
    ]
    complaints = subprocess.run([*ruff, "."], cwd=ROOT, capture_output=True, text=True).stdout
    assert complaints == "", complaints


def test_package_lists() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    inits = (Path(name) for name in CODE if re.fullmatch(r"common/(.*/)?__init__\.py", name))
    folders = {str(path.parent).replace("/", ".") for path in inits}
    mapped = set(project["tool"]["setuptools"]["package-dir"])
    assert set(project["tool"]["setuptools"]["packages"]) == folders | mapped
    pins = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert list(file_rules.unpinned(project["project"], pins)) == []


def test_colab_button_leads_to_this_repository() -> None:
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    assert re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+", config["repository"]["url"])
    assert config["launch_buttons"]["colab_url"] == "https://colab.research.google.com"
    assert config["repository"].get("path_to_book", "") == ""
    # The branch that the button opens; only buttons that the book does not show ask for another.
    assert config["repository"]["branch"] == "colab"
    assert not config["html"]["use_edit_page_button"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert "repository-code" not in citation, "the address stands in _config.yml only"
