"""The book's own files that code reads: results, the catalogue of datasets, reference weights."""

from __future__ import annotations

from pathlib import Path

from common.support.errors import UsageError

PACKAGE = Path(__file__).resolve().parents[1]
BOOK = PACKAGE / "book" if (PACKAGE / "book").is_dir() else PACKAGE.parent / "book"
"""The folder `book/`: beside `common/` in a checkout, inside it where pip has installed it."""


def book_file(name: str) -> Path:
    """Path of a file in `book/`, such as "results/unet.json", from any working directory.

    Raises UsageError if the file is missing.
    """
    path = BOOK / name
    if not path.is_file():
        raise UsageError(
            f"book/{name} is not in {BOOK}: install the package again from the book's repository"
        )
    return path
