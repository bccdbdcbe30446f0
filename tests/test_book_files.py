"""Chapters find the files of the book's folder wherever they run, also without a checkout."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import file_rules
import nbformat
import pytest
from setup_cell import ROOT

from common.support import book
from common.support.errors import UsageError


def read_by_chapters() -> list[str]:
    """Every name that a chapter gives to `book_file`."""
    cells = (
        cell.source
        for path in sorted((ROOT / "notebooks").glob("*.ipynb"))
        for cell in nbformat.read(path, as_version=4).cells
        if cell.cell_type == "code"
    )
    return sorted({name for text in cells for name in re.findall(r'book_file\("(.+?)"\)', text)})


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The package as pip installs it: a wheel of the tracked files, unpacked in another folder."""
    source, wheels, target = (tmp_path_factory.mktemp(name) for name in ("src", "wheels", "site"))
    for name in file_rules.tracked(ROOT):
        wanted = name.startswith(("common/", "book/")) or name == "pyproject.toml"
        if wanted and not name.startswith("common/checkpoints/"):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet"]
    subprocess.run(
        [*pip, "--no-deps", "--no-build-isolation", "--wheel-dir", wheels, source], check=True
    )
    (wheel,) = wheels.iterdir()
    zipfile.ZipFile(wheel).extractall(target)
    return target


def test_chapters_read_what_is_there() -> None:
    names = read_by_chapters()
    assert {"datasets.json", "results/classical.json", "results/d3net.json"} <= set(names)
    assert [name for name in names if not book.book_file(name).is_file()] == []


def test_an_installed_package_has_what_the_chapters_read(installed, tmp_path) -> None:
    code = "import sys; from common.support.book import book_file\n"
    code += "for name in sys.argv[1:]: print(book_file(name))"
    names = read_by_chapters()
    run = subprocess.run(
        [sys.executable, "-c", code, *names],
        cwd=tmp_path,
        env={"PYTHONPATH": str(installed), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.splitlines() == [str(installed / "common" / "book" / name) for name in names]


def test_a_wheel_brings_no_pages_and_figures(installed) -> None:
    kinds = {path.suffix for path in (installed / "common" / "book").rglob("*") if path.is_file()}
    assert kinds == {".json", ".safetensors"}


def test_a_missing_file_is_one_plain_line() -> None:
    with pytest.raises(UsageError, match="results/nothing.json is not .* install") as caught:
        book.book_file("results/nothing.json")
    assert "\n" not in str(caught.value)
