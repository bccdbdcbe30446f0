"""What the classical methods reach on the embedded test songs and on the real excerpt.

`python -m common.experiments.classical` rewrites book/results/classical.json, a method at a time;
a run that was stopped goes on.
"""

from __future__ import annotations

import time

from common.classical.table import METHODS
from common.data import SONG_SETS, embedded_songs, embedded_tracks, real_excerpt
from common.evaluation import evaluate, evaluate_track
from common.experiments.rows import RESULTS, run_rows
from common.songs.dataset import set_hash


def measure(key: dict) -> dict:
    """One method: SDR per stem, median and interval over the test songs, and on the excerpt."""
    separator = METHODS[key["method"]]()
    tracks = embedded_tracks("test", songs=SONG_SETS["live"])
    begin = time.perf_counter()
    results = evaluate(separator, tracks, progress=False)
    seconds = time.perf_counter() - begin
    return {
        "sdr": results["median"]["sdr"],
        "interval": results["interval"]["sdr"],
        "excerpt_sdr": evaluate_track(separator, real_excerpt())["sdr"],
        "times_real_time": round(sum(track.duration for track in tracks) / seconds, 1),
    }


def main() -> None:
    """Fill in the rows that are missing."""
    songs = embedded_songs(SONG_SETS["live"], n_train=0)
    about = {"test_hash": set_hash(songs, "test"), "songs": SONG_SETS["live"].n_test}
    run_rows(RESULTS / "classical.json", about, [{"method": name} for name in METHODS], measure)


if __name__ == "__main__":
    main()
