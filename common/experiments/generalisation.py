"""How much worse are the committed nets on unseen timbres?

Every checkpoint and the ideal ratio mask on 40 new songs with the timbres of the training songs, on
40 with the timbres of the validation songs, and on the 40 test songs.
`python -m common.experiments.generalisation` rewrites book/results/generalisation.json row by row,
and prints a table. Rows name the weights that they were measured with: a net that is trained again
gets new rows beside its old ones.
"""

from __future__ import annotations

import platform
from dataclasses import asdict
from functools import cache, lru_cache

import numpy as np
import torch

from common import SOURCES
from common.data.embedded import SONG_SETS, SongSet, embedded_tracks, test_tracks
from common.data.tracks import Track
from common.evaluation.metrics import sdr
from common.evaluation.oracles import BOUNDS
from common.evaluation.results import bootstrap_interval, compare, mean_of_medians, redrawn
from common.experiments.resumable import RESULTS, run_rows, track_sdr
from common.recipes.checkpoints import load, trained_models, weights_hash
from common.separation.separators import Separator
from common.songs.dataset import GENERATOR_VERSION

SONGS = SongSet(n_train=40, n_test=0, seconds=24.0, seed=5, n_valid=40)
"""Seed of the new songs, which were not used for training or for any choice."""

SPLITS = {"familiar": "train", "validation": "valid", "test": "test"}
"""Name of a row's songs → their set and split."""

ORACLE = "ideal-ratio-mask"


@lru_cache(maxsize=1)
def tracks(songs: str) -> list[Track]:
    """The 40 songs of a row."""
    return test_tracks() if songs == "test" else embedded_tracks(SPLITS[songs], songs=SONGS)


def about() -> dict:
    """The facts that hold for all rows: the sets of the songs."""
    test = [asdict(SONG_SETS[name]) for name in ("live", "more-test")]
    return {
        "generator_version": GENERATOR_VERSION,
        "songs": {"familiar": asdict(SONGS), "validation": asdict(SONGS), "test": test},
        "hardware": platform.machine(),
    }


def weights(model: str) -> str:
    """The weights with which a row was measured; empty for the oracle, which has none."""
    return "" if model == ORACLE else weights_hash(model)


def keys() -> list[dict]:
    """The rows that the current checkpoints should have."""
    return [
        {"model": model, "weights": weights(model), "songs": songs}
        for songs in reversed(SPLITS)
        for model in (ORACLE, *trained_models())
    ]


@cache
def ideal(songs: str) -> np.ndarray:
    """SDR in dB of the ideal ratio mask: (n, s), NaN where a stem is silent."""
    mask = BOUNDS[ORACLE]
    return torch.stack(
        [sdr(track.sources, mask.estimate(track)) for track in tracks(songs)]
    ).numpy()


def measure(key: dict) -> dict:
    """SDR in dB of every song and stem, and a summary with intervals."""
    if key["model"] == ORACLE:
        return summary(ideal(key["songs"]))
    return scored(load(key["model"]), key["songs"])


def scored(separator: Separator, songs: str) -> dict:
    """The row of a separator: its `summary`, and its share of the ideal mask's level."""
    ratios = track_sdr(separator, tracks(songs)).numpy()
    return summary(ratios) | {"share": share(ratios, ideal(songs))}


def summary(ratios: np.ndarray) -> dict:
    """Each stem's values, and their mean and median with bootstrap intervals.

    ratios: (n, s), NaN where a stem is silent; such a song is left out for that stem.
    """
    columns = {
        source: [None if np.isnan(x) else round(float(x), 4) for x in column]
        for source, column in zip(SOURCES, ratios.T, strict=True)
    }
    row: dict[str, dict] = {"sdr": columns}
    for name, statistic in (("mean", np.mean), ("median", np.median)):
        row[name] = {
            source: {
                "value": float(statistic([x for x in column if x is not None])),
                "interval": bootstrap_interval(column, statistic=statistic),
            }
            for source, column in columns.items()
        }
    return row


def drawn_shares(ratios: np.ndarray, best: np.ndarray, seed: int = 0) -> np.ndarray:
    """A net's level as a share of the ideal mask's, once for each draw of the same songs."""
    draws = redrawn(len(ratios), seed=seed)
    return mean_of_medians(ratios[draws]) / mean_of_medians(best[draws])


def share(ratios: np.ndarray, best: np.ndarray) -> dict:
    """A net's level as a share of the ideal mask's on the same songs, and its interval."""
    value = mean_of_medians(ratios) / mean_of_medians(best)
    return {"value": float(value), "interval": bounds(drawn_shares(ratios, best))}


def bounds(values: np.ndarray) -> list[float]:
    """The interval that contains 95 % of the values."""
    return [float(x) for x in np.percentile(values, [2.5, 97.5])]


def values(row: dict) -> np.ndarray:
    """SDR of a row as (n, s), NaN where a stem is silent."""
    return np.array([row["sdr"][source] for source in SOURCES], float).T


def row_of(rows: list[dict], model: str, songs: str) -> dict:
    """The row of a checkpoint's current weights, or of the oracle."""
    wanted = {"model": model, "weights": weights(model), "songs": songs}
    return next(row for row in rows if wanted.items() <= row.items())


def gap(rows: list[dict], model: str, unheard: str = "test") -> dict:
    """By how much a net's share falls from familiar to unheard timbres, with its interval.

    The two sets of songs are drawn independently of each other.
    """
    shares, drawn = [], []
    for seed, songs in enumerate(("familiar", unheard)):
        both = values(row_of(rows, model, songs)), values(row_of(rows, ORACLE, songs))
        shares.append(share(*both)["value"])
        drawn.append(drawn_shares(*both, seed=seed))
    return {"value": shares[0] - shares[1], "interval": bounds(drawn[0] - drawn[1])}


def as_results(row: dict) -> dict:
    """A row in the form that `compare` takes."""
    songs = zip(*row["sdr"].values(), strict=True)
    named = [{"name": n, "sdr": dict(zip(row["sdr"], x, strict=True))} for n, x in enumerate(songs)]
    return {"model": row["model"], "sources": list(row["sdr"]), "tracks": named}


def differences(rows: list[dict], songs: str = "test") -> list[tuple[str, str, dict]]:
    """Nets from best to worst, each compared with the next one by `compare`."""
    nets = [row_of(rows, model, songs) for model in trained_models()]
    nets.sort(key=lambda row: -mean_of_medians(values(row)))
    return [
        (one["model"], other["model"], compare(as_results(one), as_results(other)))
        for one, other in zip(nets, nets[1:], strict=False)
    ]


def in_words(found: dict, scale: float = 1.0, digits: int = 2) -> str:
    """A value and its interval as text."""
    low, high = (f"{x * scale:.{digits}f}" for x in found["interval"])
    return f"{found.get('value', found.get('difference')) * scale:.{digits}f} ({low} to {high})"


def print_table(rows: list[dict]) -> None:
    """Print shares and gaps in per cent, medians and paired differences in dB."""
    for model in trained_models():
        shares = [in_words(row_of(rows, model, songs)["share"], 100, 0) for songs in SPLITS]
        lost = [in_words(gap(rows, model, songs), 100, 0) for songs in ("validation", "test")]
        print(f"{model:16}", " | ".join((*shares, *lost)))
    for model in (ORACLE, *trained_models()):
        for songs in SPLITS:
            medians = row_of(rows, model, songs)["median"].values()
            print(f"{model:16} {songs:10}", " | ".join(map(in_words, medians)))
    for one, other, compared in differences(rows):
        print(f"{one} less {other}:", " | ".join(map(in_words, compared.values())))


def main() -> None:
    """Fill in the rows that are missing, on one core, and print the table."""
    torch.set_num_threads(1)
    print_table(run_rows(RESULTS / "generalisation.json", about(), keys(), measure, keep=True))


if __name__ == "__main__":
    main()
