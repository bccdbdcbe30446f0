"""How much does variety in the embedded songs help on real music?

One small net is trained for the same number of steps on six generators, each with more variety than
the one before, and separates the real excerpt. `python -m common.experiments.song_variety` rewrites
book/results/song_variety.json row by row; an interrupted run continues.
"""

from __future__ import annotations

import functools
import platform
from dataclasses import replace

from common import SAMPLE_RATE
from common.data.excerpts import Augment, Excerpts
from common.data.musdb_folder import load_tracks
from common.data.real_music import real_excerpt
from common.experiments.resumable import RESULTS, mean_sdr, run_rows
from common.experiments.trial import trial
from common.models.mask_inference import MaskInference
from common.recipes.recipe import BENCH_STFT
from common.separation.separators import MaskSeparator
from common.songs.dataset import GENERATOR_VERSION, write_set
from common.songs.writing.score import Variety
from common.support.files import data_home
from common.training.config import TrainConfig
from common.training.objectives import PhaseSensitiveObjective

PLAIN = Variety(styles=False, timbres=False, voices=False, effects=False, mixes=False)
STEPS = ["styles", "timbres", "voices", "effects", "mixes"]
"""The features of the generator in the order in which they are switched on."""

N_SONGS, SECONDS, SONG_SEED = 32, 16.0, 7
CONFIG = TrainConfig(steps=300, batch_size=4, learning_rate=3e-3)
SEEDS = [0, 1, 2]


def varieties() -> dict[str, Variety]:
    """The six generators, from one style with one voice to everything."""
    found = {"plain": PLAIN}
    for step in STEPS:
        found[f"+ {step}"] = replace(list(found.values())[-1], **{step: True})
    return found


def measure(key: dict) -> dict:
    """Train on one generator from one seed; the SDR of every stem of the real excerpt in dB."""
    variety = varieties()[key["generator"]]
    name = f"variety-v{GENERATOR_VERSION}-{key['generator'].replace(' ', '')}"
    root = write_set(
        data_home() / name, N_SONGS, 0, SECONDS, SONG_SEED, SAMPLE_RATE, variety=variety
    )
    tracks = load_tracks(root, "train") + load_tracks(root, "valid")
    excerpts = Excerpts(tracks, 2.0, key["seed"], Augment(), n_channels=1)
    objective = PhaseSensitiveObjective(BENCH_STFT)
    make = functools.partial(MaskInference, hidden_size=64)
    done = trial(make, objective, excerpts, CONFIG, key["seed"])
    separator = MaskSeparator(done.net, BENCH_STFT).eval()
    loss = sum(done.history.losses[-50:]) / 50
    return {"sdr": mean_sdr(separator, [real_excerpt()]), "loss": loss}


def main() -> None:
    """Fill in the rows that are missing."""
    about = {
        "generator_version": GENERATOR_VERSION,
        "songs": N_SONGS,
        "seconds": SECONDS,
        "steps": CONFIG.steps,
        "batch_size": CONFIG.batch_size,
        "net": "MaskInference(hidden_size=64), each bin normalised",
        "objective": "phase-sensitive error",
        "hardware": platform.machine(),
    }
    keys = [{"generator": name, "seed": seed} for seed in SEEDS for name in varieties()]
    run_rows(RESULTS / "song_variety.json", about, keys, measure)


if __name__ == "__main__":
    main()
