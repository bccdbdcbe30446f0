"""`make` sets up one environment, keeps it, and never loses a working one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import quotes

SHIPPED = ("Makefile", ".ci", "requirements.txt", "pyproject.toml")


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of what `make` reads, in a folder whose name has a space."""
    house = tmp_path / "my book"
    house.mkdir()
    for name in SHIPPED:
        source = quotes.ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, house / name)
    return house


def make(house: Path, *arguments: str, path: str | None = None) -> subprocess.CompletedProcess:
    """Run make, with another PATH if one is given."""
    environment = {key: x for key, x in os.environ.items() if not key.startswith("MAKE")}
    environment |= {"PATH": path} if path else {}
    environment.pop("PYTHON", None)
    return subprocess.run(
        ["make", *arguments], cwd=house, env=environment, capture_output=True, text=True
    )


def stamp(house: Path, **settings: str) -> Path:
    """The file by which make knows that the environment is ready."""
    planned = make(house, "-n", "setup", **settings).stdout
    return house / re.search(r"touch (\S+)", planned)[1]


def test_an_activated_environment_is_not_built_again(house: Path) -> None:
    ready = stamp(house)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", house / ".venv"], check=True)
    ready.touch()
    activated = f"{house / '.venv/bin'}:{os.environ['PATH']}"
    for path in (None, activated):
        assert make(house, "-q", "setup", path=path).returncode == 0
    (house / "requirements.txt").write_text("torch==0.0.1\n")
    assert make(house, "-q", "setup", path=activated).returncode == 1


def test_the_interpreter_may_lie_in_a_folder_with_a_space(house: Path, tmp_path: Path) -> None:
    own = tmp_path / "my tools"
    own.mkdir()
    python = own / "python3"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    planned = make(house, "-n", "setup", f"PYTHON={python}")
    assert f'environment "{python}"' in planned.stdout
    assert planned.stderr == ""


def test_python_keeps_what_it_has_compiled(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    probe = "include Makefile\nprobe:\n\t@echo $${PYTHONDONTWRITEBYTECODE-unset}\n"
    (house / "probe.mk").write_text(probe)
    assert make(house, "-f", "probe.mk", "probe").stdout == "unset\n"


def test_an_environment_outlives_a_set_up_that_fails(house: Path, tmp_path: Path) -> None:
    keep = house / ".venv" / "keep"
    keep.parent.mkdir()
    keep.write_text("what was installed")
    offline = tmp_path / "python3"  # makes environments whose pip finds no network
    offline.write_text("#!/bin/sh\nmkdir -p .venv/bin && cp /bin/false .venv/bin/python\n")
    offline.chmod(0o755)
    failed = subprocess.run(
        [house / ".ci/environment", offline], cwd=house, capture_output=True, text=True
    )
    assert failed.returncode == 1
    assert "the old one is restored" in failed.stdout
    assert keep.read_text() == "what was installed"
    assert sorted(path.name for path in house.glob(".venv*")) == [".venv"]


def test_publishing_asks_where(house: Path) -> None:
    planned = make(house, "-n", "publish", "REPO=ann/music").stdout
    assert 'tests/setup_cell.py --write "ann/music"' in planned
    stamp(house).parent.mkdir()
    stamp(house).touch()
    asked = make(house, "publish")
    assert asked.returncode != 0
    assert asked.stdout.splitlines()[0] == "Say where: make publish REPO=owner/name"
