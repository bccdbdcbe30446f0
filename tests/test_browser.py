"""The built book in a real browser: errors, accessibility, and the sound of the players.

Reads the folder in `BOOK_HTML` (default `_build/html`), so it runs after the book was built.
"""

from __future__ import annotations

import functools
import http.server
import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import colab_edition
import nbformat
import pytest
import torch
from setup_cell import repository_url

from common import SAMPLE_RATE
from common.notebook.players import player, stem_player

HERE = Path(__file__).parent
ROOT = HERE.parent
BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)


def find_browser() -> str:
    """Path of a Chrome or Chromium: the one named in `BOOK_BROWSER`, or any that is installed."""
    for name in filter(None, (os.environ.get("BOOK_BROWSER"), *BROWSERS)):
        if path := shutil.which(name):
            return path
    pytest.fail(
        "no Chrome or Chromium found: install one (apt-get install chromium)", pytrace=False
    )


def find_tool(name: str) -> str:
    """Path of node or npm."""
    if path := shutil.which(name):
        return path
    pytest.fail(f"{name} not found: install Node.js 18 or newer", pytrace=False)


@pytest.fixture(scope="session")
def scripts() -> Path:
    """The folder with the checks, and beside them the packages that its lock file names."""
    folder = HERE / "browser"
    lock, installed = folder / "package-lock.json", folder / "node_modules" / ".package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        command = [find_tool("npm"), "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, f"npm ci failed:\n{done.stdout}\n{done.stderr}"
    return folder


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A file server that does not log."""

    def log_message(self, *_: object) -> None:
        """Do not log."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The folder's address on the loopback interface, while the context lasts."""
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def check(scripts: Path, folder: Path, pages: list[str]) -> tuple[dict, list[str]]:
    """Open pages of a folder; return the counts, and one line per failure."""
    with served(folder) as address:
        done = subprocess.run(
            [find_tool("node"), "check.mjs", address, *pages],
            cwd=scripts,
            env={**os.environ, "BOOK_BROWSER": find_browser()},
            capture_output=True,
            text=True,
            timeout=1800,
        )
    *failures, summary = done.stdout.splitlines() or [""]
    assert summary.startswith("{"), f"the browser check was aborted:\n{done.stdout}\n{done.stderr}"
    return json.loads(summary), failures


@pytest.fixture(scope="session")
def book() -> Path:
    """The folder of the built book."""
    folder = ROOT / os.environ.get("BOOK_HTML", "_build/html")
    if not (folder / "index.html").exists():
        pytest.fail(f"no built book in {folder}: run `make book` first", pytrace=False)
    return folder


def test_every_page_of_the_built_book_works_in_a_browser(scripts: Path, book: Path) -> None:
    pages = sorted(
        str(page.relative_to(book))
        for page in book.rglob("*.html")
        if not page.relative_to(book).parts[0].startswith("_")
    )
    counts, failures = check(scripts, book, pages)
    assert not failures, f"{len(failures)} findings:\n" + "\n".join(failures)
    assert counts["pages"] == len(pages)
    assert counts["players"] > 0, "no page of the book has a player"


def test_the_edition_for_colab_and_the_book_lead_to_each_other(book: Path, tmp_path: Path) -> None:
    assert colab_edition.write_edition(tmp_path / "edition") == []
    pages = re.escape(colab_edition.read_book().pages)
    repository = repository_url().removeprefix("https://github.com/")
    missing = []
    for path in sorted((tmp_path / "edition" / "notebooks").iterdir()):
        cells = nbformat.read(path, as_version=4).cells
        text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        for name, anchor in set(re.findall(rf"\]\({pages}([^#)]+)#?([^)]*)\)", text)):
            there = (book / name).is_file()
            if not there or anchor and f'id="{anchor}"' not in (book / name).read_text("utf-8"):
                missing.append(f"{path.name}: {name}#{anchor}")
        rocket = f"colab.research.google.com/github/{repository}/blob/colab/notebooks/{path.name}"
        if rocket not in (book / "notebooks" / f"{path.stem}.html").read_text("utf-8"):
            missing.append(f"{path.name}: no rocket button opens it")
    assert missing == [], "\n".join(missing)


def test_no_words_of_a_diagram_collide(scripts: Path) -> None:
    figures = ROOT / "book" / "figures"
    drawings = sorted(path.name for path in figures.glob("*.svg"))
    assert drawings
    _, failures = check(scripts, figures, drawings)
    assert not failures, "\n".join(failures)


def test_the_diagram_check_notices_collisions(scripts: Path, tmp_path: Path) -> None:
    drawing = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 200 50" width="200" height="50">'
        '<text x="20" y="20">one</text><text x="{x}" y="20">two</text></svg>'
    )
    for name, x in {"apart": 90, "on": 40, "out": 190}.items():
        (tmp_path / f"{name}.svg").write_text(drawing.format(x=x), encoding="utf-8")
    _, failures = check(scripts, tmp_path, ["apart.svg", "on.svg", "out.svg"])
    assert failures == ['on.svg: "one" lies on "two"', 'out.svg: "two" leaves the drawing']


PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>One player</title>
<link rel="icon" href="data:,"><meta name="viewport" content="width=device-width"></head>
<body><main><h1>One player</h1>{player}</main></body></html>"""

MISTAKES = {
    "solo ignored": ("soloed.length ? soloed : present", "present", "solo of row"),
    "mute ignored": ("!this.mute.has(clip.part)", "true", "mute of row"),
    "versions mixed": ("clip.version === this.version);", "true);", "version 0"),
    "gains set at the start only": ("gain?.setTargetAtTime", "gain?.nothing?.", "heard live"),
    "seek ignored": ("source.start(when, lead + offset)", "source.start(when, lead)", "seconds on"),
    "a row late": ("source.start(when,", "source.start(when + 0.001 * clip.part,", "two rows"),
    "no alternative text": ("<h1>", '<article><img src="data:,"></article><h1>', "picture"),
    "an error": ("<h1>", "<script>throw Error('broken')</script><h1>", "script error"),
    "another server": ("<h1>", '<img alt="x" src="http://a.example/x.png"><h1>', "another server"),
    "a nameless button": ("<h1>", "<button></button><h1>", "button-name"),
}
"""The text to replace in a correct page, its replacement, and a part of the expected message."""


def noises(n_sources: int) -> torch.Tensor:
    """Four seconds of stereo noise per source, at the bench rate."""
    generator = torch.Generator().manual_seed(0)
    return 0.1 * torch.randn(n_sources, 2, 4 * SAMPLE_RATE, generator=generator)


def test_players_sound_as_their_buttons_say(scripts: Path, tmp_path: Path) -> None:
    stems = noises(3)
    names = ("drums", "bass", "vocals")
    models = {"Model one": stems.flip(0), "Model two": stems.roll(1, 0)}
    shown = stem_player(stems.sum(0), stems, models, names, SAMPLE_RATE)
    rows = player({"vocals (target)": stems[0, 0], "vocals (estimate)": stems[1]}, SAMPLE_RATE)
    page = PAGE.format(player=shown._repr_html_() + rows._repr_html_())
    (tmp_path / "index.html").write_text(page, encoding="utf-8")
    counts, failures = check(scripts, tmp_path, ["index.html"])
    assert not failures, "\n".join(failures)
    assert counts["players"] == 2


def test_the_browser_check_notices_mistakes(scripts: Path, tmp_path: Path) -> None:
    stems = noises(2)
    shown = stem_player(stems.sum(0), None, {"Model": stems}, ("drums", "bass"), SAMPLE_RATE)
    page = PAGE.format(player=shown._repr_html_())
    for number, (right, wrong, _) in enumerate(MISTAKES.values()):
        assert right in page
        (tmp_path / f"{number}.html").write_text(page.replace(right, wrong), encoding="utf-8")
    _, failures = check(scripts, tmp_path, [f"{number}.html" for number in range(len(MISTAKES))])
    for number, (mistake, (_, _, said)) in enumerate(MISTAKES.items()):
        found = [failure for failure in failures if failure.startswith(f"{number}.html")]
        assert any(said in failure for failure in found), f"{mistake}: {found}"


def test_the_browser_check_looks_at_players_in_the_dark_theme(
    scripts: Path, tmp_path: Path
) -> None:
    rows = player({"vocals": noises(1)[0]}, SAMPLE_RATE)._repr_html_()
    pale = "<style>html[data-theme=dark] .book-player { color: #bbb; background: #fff }</style>"
    (tmp_path / "index.html").write_text(PAGE.format(player=pale + rows), encoding="utf-8")
    _, failures = check(scripts, tmp_path, ["index.html"])
    assert any("dark: color-contrast" in failure for failure in failures), failures
