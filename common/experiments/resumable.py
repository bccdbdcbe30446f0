"""Rows of experiments, measured one by one so that an interrupted run can continue."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from common import SOURCES
from common.data.tracks import Track
from common.evaluation.metrics import sdr
from common.separation.any_length import separate
from common.separation.separators import Separator
from common.support.book import BOOK
from common.support.files import write_json

RESULTS = BOOK / "results"
"""The folder of the results that the book plots and tabulates."""


def run_rows(
    path: Path,
    about: dict,
    keys: list[dict],
    measure: Callable[[dict], dict],
    keep: bool = False,
) -> list[dict]:
    """Measure every row of `keys` that `path` does not hold yet; write the file after each.

    A row is its key and what `measure(key)` returns. Rows measured under another `about` (the
    facts that hold for all of them), or with a key that is not in `keys`, are discarded; `keep`
    keeps the latter.
    """
    about = json.loads(json.dumps(about))  # as it will be read back: no tuples
    found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    rows = found.get("rows", []) if found.get("about") == about else []
    rows = [row for row in rows if keep or any(key.items() <= row.items() for key in keys)]
    for key in tqdm(keys, desc=path.stem):
        if not any(key.items() <= row.items() for row in rows):
            rows = [*rows, key | measure(key)]
            write_json(path, {"about": about, "rows": rows})
    return rows


def track_sdr(separator: Separator, tracks: Sequence[Track]) -> Tensor:
    """SDR in dB of every track and stem: (n, s), NaN where a stem is silent."""
    return torch.stack(
        [sdr(t.sources, separate(separator, t.mixture, t.sample_rate)) for t in tracks]
    )


def mean_sdr(separator: Separator, tracks: Sequence[Track]) -> dict[str, float]:
    """SDR of every stem in dB, averaged over the tracks in which it sounds."""
    means = track_sdr(separator, tracks).nanmean(dim=0).tolist()
    return dict(zip(SOURCES, means, strict=True))
