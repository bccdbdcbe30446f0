"""What the classical methods reach on the embedded test songs and on the real excerpt.

`python -m common.experiments.classical` rewrites book/results/classical.json method by method; an
interrupted run continues.
"""

from __future__ import annotations

import time

import torch

from common.classical.nmf import SupervisedNMF
from common.classical.table import METHODS
from common.data.embedded import SONG_SETS, embedded_songs, embedded_tracks
from common.data.real_music import real_excerpt
from common.data.tracks import Track
from common.evaluation.metrics import sdr
from common.evaluation.per_track import evaluate, evaluate_track
from common.experiments.resumable import RESULTS, run_rows
from common.separation.any_length import separate
from common.separation.separators import Separator
from common.songs.dataset import set_hash


def vocals_anyway(separator: Separator, tracks: list[Track]) -> float:
    """The vocals' median SDR in dB, with the stem nearest to them as their estimate.

    For a method that estimates vocals it is their SDR.
    """
    wanted = [i for i, name in enumerate(separator.sources) if name == "vocals"]
    rows = [
        sdr(track["vocals"].expand_as(stems), stems)
        for track in tracks
        for stems in [separate(separator, track.mixture, track.sample_rate)]
    ]
    found = torch.stack(rows)[:, wanted or slice(None)]
    return round(found.nanquantile(0.5, dim=0).max().item(), 4)


def training_minutes(separator: Separator) -> float:
    """Minutes of stems that a method was trained on."""
    if not isinstance(separator, SupervisedNMF):
        return 0.0
    tracks = embedded_tracks("train", songs=SONG_SETS["live"])
    return sum(track.duration for track in tracks) / 60


def measure(key: dict) -> dict:
    """One method: SDR per stem, median and interval over the test songs, and on the excerpt."""
    separator = METHODS[key["method"]]()
    tracks = embedded_tracks("test", songs=SONG_SETS["live"])
    begin = time.perf_counter()
    results = evaluate(separator, tracks, progress=False)
    seconds = time.perf_counter() - begin
    learns = isinstance(separator, SupervisedNMF)
    return {
        "sdr": results["median"]["sdr"],
        "interval": results["interval"]["sdr"],
        "excerpt_sdr": evaluate_track(separator, real_excerpt())["sdr"],
        "vocals_anyway": vocals_anyway(separator, tracks),
        "parameters": separator.dictionaries.numel() if learns else 0,
        "training_minutes": training_minutes(separator),
        "times_real_time": round(sum(track.duration for track in tracks) / seconds, 1),
    }


def main() -> None:
    """Fill in the rows that are missing, on one core."""
    torch.set_num_threads(1)
    songs = embedded_songs(SONG_SETS["live"], n_train=0)
    about = {
        "test_hash": set_hash(songs, "test"),
        "songs": SONG_SETS["live"].n_test,
        "threads": torch.get_num_threads(),
    }
    run_rows(RESULTS / "classical.json", about, [{"method": name} for name in METHODS], measure)


if __name__ == "__main__":
    main()
