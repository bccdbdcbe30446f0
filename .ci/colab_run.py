#!/usr/bin/env python
"""Run chapters of the edition for Colab as a reader there does, set-up cell included.

Usage: colab_run.py CHAPTER..., after colab_edition.py. In _build/colab-run it makes an environment
that simulates Colab: it has the versions of Colab's image (.ci/colab-image.txt) and a google.colab,
apt-get does nothing, and pip takes the book's archive from the last commit here. Prints how long
each chapter ran and when its first player appeared; fails if that took over two minutes.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EDITION = ROOT / "_build" / "colab" / "notebooks"
ROOM = ROOT / "_build" / "colab-run"
IMAGE = ROOM / "image" / "bin"
ARCHIVE = ROOM / "book.zip"

FIRST_SOUND = 120
"""Seconds from the first cell to the first player, at most."""

PIP = f"""#!/bin/sh
for argument; do
    case $argument in "common"*" @ "*) argument="${{argument%% @ *}} @ file://{ARCHIVE}" ;; esac
    set -- "$@" "$argument"
    shift
done
exec "{IMAGE}/python" -m pip "$@"
"""


def make_room() -> None:
    """Make the environment, the archive, and the files that simulate Colab."""
    shutil.rmtree(ROOM, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", IMAGE.parent], check=True)
    pip = [IMAGE / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    pip += ["--no-compile", "-r", ROOT / ".ci" / "colab-image.txt"]
    subprocess.run(pip, check=True)
    archive = ["git", "archive", "--format=zip", "--prefix=book-main/", "-o", ARCHIVE, "HEAD"]
    subprocess.run(archive, cwd=ROOT, check=True)
    for name, text in {"apt-get": "#!/bin/sh\n", "pip": PIP}.items():
        command = ROOM / "commands" / name
        command.parent.mkdir(exist_ok=True)
        command.write_text(text, encoding="utf-8")
        command.chmod(0o755)
    colab = ROOM / "modules" / "google" / "colab" / "__init__.py"
    startup = ROOM / "ipython" / "profile_default" / "startup" / "colab.py"
    for path, text in {colab: "", startup: "import google.colab\n"}.items():
        path.parent.mkdir(parents=True)
        path.write_text(text, encoding="utf-8")


def run(chapter: str) -> list[dict]:
    """Run a chapter in its own folder, at the reader's scale; returns its cells with outputs."""
    folder = ROOM / "content" / chapter
    folder.mkdir(parents=True)
    notebook = Path(shutil.copy(EDITION / f"{chapter}.ipynb", folder))
    own = ("BOOK_SCALE", "MPLBACKEND", "VIRTUAL_ENV")
    environment = {key: x for key, x in os.environ.items() if key not in own} | {
        "PATH": os.pathsep.join((str(ROOM / "commands"), str(IMAGE), os.environ["PATH"])),
        "PYTHONPATH": str(ROOM / "modules"),
        "IPYTHONDIR": str(ROOM / "ipython"),
        "COMMON_DATA": str(ROOM / "songs"),
        "PIP_NO_CACHE_DIR": "1",
    }
    convert = [IMAGE / "jupyter-nbconvert", "--log-level=WARN", "--to=notebook", "--inplace"]
    convert += ["--execute", "--ExecutePreprocessor.timeout=900", notebook]
    subprocess.run(convert, cwd=folder, env=environment, check=True)
    return json.loads(notebook.read_text(encoding="utf-8"))["cells"]


def seconds_after_start(cells: list[dict]) -> list[tuple[float, bool]]:
    """Seconds from the start to the end of each code cell, and whether the cell shows a player."""
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    times = [cell["metadata"]["execution"] for cell in code]
    started = datetime.fromisoformat(times[0]["iopub.status.busy"])
    done = [datetime.fromisoformat(time["iopub.status.idle"]) - started for time in times]
    shows = ["book-player" in json.dumps(cell["outputs"]) for cell in code]
    return [(time.total_seconds(), show) for time, show in zip(done, shows, strict=True)]


def main(chapters: list[str]) -> int:
    """Run chapters one after another in one environment; returns 0 if none was too slow."""
    make_room()
    slow = 0
    for chapter in chapters:
        done = seconds_after_start(run(chapter))
        first = next(seconds for seconds, shows_player in done if shows_player)
        slow += first > FIRST_SOUND
        print(
            f"{chapter}: set up in {done[0][0]:.0f} s, first sound after {first:.0f} s,"
            f" done after {done[-1][0]:.0f} s",
            flush=True,
        )
    return slow


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
