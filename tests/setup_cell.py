"""The set-up cell at the beginning of every chapter; only this module defines its text.

`python tests/setup_cell.py` prints it; `python tests/setup_cell.py --write` puts it into every
notebook. `python tests/setup_cell.py --write OWNER/REPO` first changes the repository's address in
`_config.yml`, the only place that states it; `make publish REPO=OWNER/REPO` calls that.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

import nbformat
import yaml

ROOT = Path(__file__).resolve().parent.parent
TAGS = ["colab", "hide-input"]

# The packages whose versions stay as they are: upgrading one that a live kernel may already have
# imported breaks it. Everything else that Colab has is kept as long as it satisfies our ranges.
TEMPLATE = """\
# Only Google Colab needs this cell: it installs the book's package there.
import sys

if "google.colab" in sys.modules:
    extras, sox = "{extras}", "{sox}"
    book = "{repository}/archive/refs/heads/main.zip"
    keep = "torch|torchaudio|torchvision|numpy|scipy|numba|llvmlite"
    keep += "|pandas|scikit-learn|matplotlib|pillow|ipython|ipykernel"
    !apt-get -qq update
    !apt-get -qq install -y libfluidsynth3 {{sox}} >/dev/null
    !pip list --format=freeze | grep -iE "^({{keep}})==" >keep.txt
    !pip install -q -c keep.txt "common{{extras}} @ {{book}}\""""

# Code in a chapter that needs an extra of pyproject.toml. Both extras compile soxbindings.
EXTRAS = {
    "nussl": r"\bnussl_compat\b",
    "scaper": r"\b(jams|scaper_compat|scaper_mixtures|sox_pitch|sox_tempo|write_versions)\b",
}


def repository_url(root: Path = ROOT) -> str:
    """The address of the book's repository, from `_config.yml`, the only place that states it."""
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    return config["repository"]["url"].rstrip("/")


def move_to(name: str, root: Path = ROOT) -> None:
    """State in `_config.yml` that the book's repository on GitHub is `name`, as OWNER/REPO."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        sys.exit(f"{name} is not a repository: write OWNER/REPO, as in make publish REPO=ann/music")
    path = root / "_config.yml"
    text = path.read_text(encoding="utf-8")
    address = rf"\g<1>https://github.com/{name}"
    path.write_text(re.sub(r"^( +url: )\S+$", address, text, flags=re.M), encoding="utf-8")


def needed_extras(notebook: nbformat.NotebookNode) -> list[str]:
    """The extras of the package that a chapter's code needs."""
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    return [name for name, mark in EXTRAS.items() if re.search(mark, "\n".join(code))]


def setup_cell(repository: str, extras: Sequence[str] = ()) -> str:
    """The text of the set-up cell for a repository's address and the extras of a chapter."""
    wanted = {"extras": f"[{','.join(extras)}]" if extras else ""}
    wanted["sox"] = "libsox-dev sox" if extras else ""
    return TEMPLATE.format(repository=repository, **wanted)


def write(folder: Path, repository: str) -> list[Path]:
    """Put its text into the cell tagged `colab` of every notebook; return the files changed."""
    changed = []
    for path in sorted(folder.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        text = setup_cell(repository, needed_extras(notebook))
        for cell in notebook.cells:
            if "colab" in cell.metadata.get("tags", []) and cell.source != text:
                cell.source = text
                changed.append(path)
        if path in changed:
            nbformat.write(notebook, path)
    return changed


if __name__ == "__main__":
    if sys.argv[1:2] == ["--write"]:
        if sys.argv[2:]:
            move_to(sys.argv[2])
        for changed_path in write(ROOT / "notebooks", repository_url()):
            print(f"rewrote {changed_path.relative_to(ROOT)}")
    else:
        print(setup_cell(repository_url()))
