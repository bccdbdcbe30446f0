"""The set-up cell that opens every chapter, and the one place that knows its text.

`python tests/setup_cell.py` prints it; `python tests/setup_cell.py --write` puts it into every
notebook, which is needed once: when the repository's address in `_config.yml` changes.
"""

from __future__ import annotations

import sys
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
    keep = "torch|torchaudio|torchvision|numpy|scipy|numba|llvmlite"
    keep += "|pandas|scikit-learn|matplotlib|pillow|ipython|ipykernel"
    !apt-get -qq update
    !apt-get -qq install -y libsox-dev sox libfluidsynth3 >/dev/null
    !git clone -q --depth 1 {repository} /content/book
    !pip list --format=freeze | grep -iE "^({{keep}})==" >/content/keep.txt
    !pip install -q -c /content/keep.txt /content/book
    %cd -q /content/book/notebooks"""


def repository_url(root: Path = ROOT) -> str:
    """The address of the book's repository, from `_config.yml`, the only place that states it."""
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    return config["repository"]["url"].rstrip("/")


def setup_cell(repository: str) -> str:
    """The text of the set-up cell for a repository's address."""
    return TEMPLATE.format(repository=repository)


def write(folder: Path, text: str) -> list[Path]:
    """Put `text` into the cell tagged `colab` of every notebook; return the files changed."""
    changed = []
    for path in sorted(folder.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            if "colab" in cell.metadata.get("tags", []) and cell.source != text:
                cell.source = text
                changed.append(path)
        if path in changed:
            nbformat.write(notebook, path)
    return changed


if __name__ == "__main__":
    cell = setup_cell(repository_url())
    if "--write" in sys.argv[1:]:
        for changed_path in write(ROOT / "notebooks", cell):
            print(f"rewrote {changed_path.relative_to(ROOT)}")
    else:
        print(cell)
