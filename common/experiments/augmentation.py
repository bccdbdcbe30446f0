"""Does augmentation help? One small net, one number of steps, eight conditions, three seeds.

First on few songs, which the net can overfit; then no augmentation against all on six times as
many. `python -m common.experiments.augmentation` rewrites book/results/augmentation.json row by
row; an interrupted run continues.
"""

from __future__ import annotations

import functools
from dataclasses import replace

from common import SAMPLE_RATE
from common.data.augmentation import version_name, write_versions
from common.data.embedded import SONG_SETS, embedded_tracks, songs_folder
from common.data.excerpts import NO_AUGMENT, Augment, Excerpts
from common.data.musdb_folder import TrackOnDisk, open_database
from common.data.real_music import real_excerpt
from common.data.tracks import Track
from common.experiments.resumable import RESULTS, mean_sdr, run_rows
from common.experiments.trial import facts, trial
from common.models.mask_inference import MaskInference
from common.recipes.recipe import BENCH_STFT
from common.separation.separators import MaskSeparator
from common.training.config import TrainConfig
from common.training.objectives import PhaseSensitiveObjective
from common.training.validation import ValidationLoss

SONGS = {"few": ("live", 8), "many": ("zoo", 48)}
"""How many training songs, and of which set."""

PITCHES = [(-2.0, 1.0), (-1.0, 1.0), (1.0, 1.0), (2.0, 1.0)]
TEMPOS = [(0.0, 0.88), (0.0, 1.12)]
"""Pre-rendered versions of each song: (semitones, rate)."""

EVERYTHING = Augment()
CONDITIONS: dict[str, tuple[Augment, list[tuple[float, float]]]] = {
    "none": (NO_AUGMENT, []),
    "remix": (replace(NO_AUGMENT, remix=EVERYTHING.remix), []),
    "gain": (replace(NO_AUGMENT, gain=EVERYTHING.gain), []),
    "pitch": (NO_AUGMENT, PITCHES),
    "tempo": (NO_AUGMENT, TEMPOS),
    "polarity": (replace(NO_AUGMENT, flip_polarity=True), []),
    "channels": (replace(NO_AUGMENT, swap_channels=True), []),
    "all": (EVERYTHING, [*PITCHES, *TEMPOS]),
}
"""Condition → changes on the fly, and versions rendered in advance."""

CONFIG = TrainConfig(steps=1500, batch_size=4, learning_rate=3e-3, validate_every=300)
SECONDS = 1.0
SEEDS = [0, 1, 2]


@functools.cache
def originals(songs: str) -> list[Track]:
    """The unchanged training songs."""
    name, limit = SONGS[songs]
    return embedded_tracks("train", limit=limit, songs=SONG_SETS[name])


@functools.cache
def versions(songs: str) -> list[TrackOnDisk]:
    """The same songs at other pitches and tempos, rendered on first use beside the songs."""
    made_from = songs_folder(SONG_SETS[SONGS[songs][0]])
    root = made_from.with_name(f"{made_from.name}-versions-{SONGS[songs][1]}")
    write_versions(originals(songs), [*PITCHES, *TEMPOS], root)
    entries = open_database(root, "train") + open_database(root, "valid")
    return [TrackOnDisk(entry, SAMPLE_RATE) for entry in entries]


def training_tracks(songs: str, condition: str) -> list[Track | TrackOnDisk]:
    """The tracks that a condition draws excerpts from: every song as often as every other."""
    plain, changes = originals(songs), CONDITIONS[condition][1]
    wanted = {version_name(track, *change) for track in plain for change in changes}
    chosen = [t for t in versions(songs) if t.entry.name in wanted] if changes else []
    return [*plain, *sorted(chosen, key=lambda track: track.entry.name)]


def measure(key: dict) -> dict:
    """Train in one condition from one seed; losses, and mean SDR per stem in dB on each song set.

    "valid" is for choosing; "test" and "excerpt" are for reporting only.
    """
    changes, seed = CONDITIONS[key["condition"]][0], key["seed"]
    tracks = training_tracks(key["songs"], key["condition"])
    held_out = embedded_tracks("valid", songs=SONG_SETS["live"])
    objective = PhaseSensitiveObjective(BENCH_STFT)
    plain = {"augment": NO_AUGMENT, "n_channels": 1}
    losses = {
        name: ValidationLoss(objective, Excerpts(songs, SECONDS, 99, **plain), n_excerpts=64)
        for name, songs in {"train": originals(key["songs"]), "valid": held_out}.items()
    }
    curve = []

    def validate(net: MaskInference) -> float:
        curve.append({name: loss(net) for name, loss in losses.items()})
        return curve[-1]["valid"]

    excerpts = Excerpts(tracks, SECONDS, seed, changes, n_channels=1)
    make = functools.partial(MaskInference, hidden_size=64, dropout=0.0)
    done = trial(make, objective, excerpts, CONFIG, seed, validate=validate)
    separator = MaskSeparator(done.net, BENCH_STFT).eval()
    evaluated = {
        "train": originals(key["songs"])[:8],
        "valid": held_out,
        "test": embedded_tracks("test", songs=SONG_SETS["live"]),
        "excerpt": [real_excerpt()],
    }
    found = {name: mean_sdr(separator, songs) for name, songs in evaluated.items()}
    return {
        "sdr": found,
        "losses": curve,
        "tracks": len(tracks),
        "seconds": round(done.core_seconds),
    }


def main() -> None:
    """Fill in the rows that are missing."""
    about = facts(
        songs={name: count for name, (_, count) in SONGS.items()},
        conditions={name: c[0].facts() | {"versions": c[1]} for name, c in CONDITIONS.items()},
        steps=CONFIG.steps,
        batch_size=CONFIG.batch_size,
        seconds_per_excerpt=SECONDS,
        net="MaskInference(hidden_size=64, dropout=0), each bin normalised",
        objective="phase-sensitive error",
    )
    keys = [
        {"songs": songs, "condition": condition, "seed": seed}
        for seed in SEEDS
        for songs, conditions in {"few": list(CONDITIONS), "many": ["none", "all"]}.items()
        for condition in conditions
    ]
    run_rows(RESULTS / "augmentation.json", about, keys, measure)


if __name__ == "__main__":
    main()
