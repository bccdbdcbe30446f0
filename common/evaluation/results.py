"""Results on disk, and confidence intervals of medians over few tracks."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from common.support.errors import UsageError
from common.support.files import write_json


def save_results(results: dict, path: str | Path) -> Path:
    """Write results as JSON, completely or not at all. Raises ValueError for NaN and infinity."""
    return write_json(Path(path), results)


def load_results(path: str | Path) -> dict:
    """Read what `save_results` wrote; raises UsageError when the file is missing or no results."""
    try:
        results = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} holds no results ({error})") from error
    if not isinstance(results, dict) or not {"model", "sources", "tracks"} <= results.keys():
        raise UsageError(f"{path} holds no results: model, sources and tracks are missing")
    return results


def median(values: Sequence[float | None]) -> float | None:
    """Median of the values that exist; None if there is none."""
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None


def bootstrap_interval(
    values: Sequence[float | None],
    n: int = 1000,
    seed: int = 0,
    statistic: Callable[..., np.ndarray] = np.median,
) -> list[float] | None:
    """The bootstrap interval that contains 95 % of the medians of redrawn tracks.

    values: one per track, None where there is none; n: how many times all tracks are redrawn, with
    replacement; statistic: a NumPy function with `axis` instead of the median. Returns None if
    there is no value. Efron 1979.
    """
    known = np.array([value for value in values if value is not None])
    if not len(known):
        return None
    low, high = np.percentile(statistic(known[redrawn(len(known), n, seed)], axis=1), [2.5, 97.5])
    return [float(low), float(high)]


def redrawn(count: int, n: int = 1000, seed: int = 0) -> np.ndarray:
    """Indices (n, count) of `count` tracks, drawn `n` times with replacement."""
    return np.random.default_rng(seed).integers(count, size=(n, count))


def mean_of_medians(ratios: np.ndarray) -> np.ndarray:
    """One number for a model: (..., tracks, sources) → (...), in dB.

    The median over tracks, without NaN, and then the mean over sources.
    """
    return np.nanmedian(ratios, axis=-2).mean(axis=-1)


def compare(results: dict, others: dict, metric: str = "sdr") -> dict[str, dict]:
    """By how much one model differs from another on the tracks that both were measured on.

    Per shared source: the median over tracks of the difference (`results` less `others`, in the
    metric's unit), its bootstrap interval, and the number of tracks. Pairing by track gives a
    narrower interval than two medians, since tracks differ more than models do. Raises UsageError
    when no track or no source is shared, or when only one of them has the metric.
    """
    by_name = {track["name"]: track for track in others["tracks"]}
    pairs = [
        (track, by_name[track["name"]]) for track in results["tracks"] if track["name"] in by_name
    ]
    shared = [source for source in results["sources"] if source in others["sources"]]
    if not pairs or not shared:
        raise UsageError(f"{results['model']} and {others['model']} share no track or no source")
    for measured in (results, others):
        if any(metric not in track for track in measured["tracks"]):
            raise UsageError(f"{measured['model']} has not been measured by {metric}")
    compared = {}
    for source in shared:
        values = [(one[metric][source], other[metric][source]) for one, other in pairs]
        differences = [a - b for a, b in values if a is not None and b is not None]
        compared[source] = {
            "difference": median(differences),
            "interval": bootstrap_interval(differences),
            "tracks": len(differences),
        }
    return compared
