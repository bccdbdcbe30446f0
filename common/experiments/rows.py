"""Rows of a result file that appear one by one, so that an experiment can stop and go on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tqdm import tqdm

from common.files import write_json

RESULTS = Path(__file__).resolve().parents[2] / "book" / "results"
"""Where the book's plots and tables find their numbers."""


def run_rows(
    path: Path, about: dict, keys: list[dict], measure: Callable[[dict], dict]
) -> list[dict]:
    """Measure every row of `keys` that `path` does not hold yet; write the file after each.

    A row is its key and what `measure(key)` returns. Rows measured under another `about` (the
    facts that hold for all of them) are thrown away, not mixed in.
    """
    found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    rows = found.get("rows", []) if found.get("about") == about else []
    for key in tqdm(keys, desc=path.stem):
        if not any(key.items() <= row.items() for row in rows):
            rows = [*rows, key | measure(key)]
            write_json(path, {"about": about, "rows": rows})
    return rows
