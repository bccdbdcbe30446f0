"""Does stereo input help a D3Net that is trained for as long as the book's checkpoint?

`python -m common.experiments.mono_vs_stereo` trains the net on single channels and on both
channels together with the zoo's recipe (state in runs/mono-vs-stereo-N), evaluates both nets, and
writes book/results/mono_vs_stereo.json; an interrupted run continues.
"""

from __future__ import annotations

import functools
import platform
from dataclasses import replace
from pathlib import Path

import torch

from common.data.embedded import SONG_SETS, embedded_tracks
from common.data.excerpts import NO_AUGMENT, Excerpts
from common.data.real_music import real_excerpt
from common.experiments.ablations import written
from common.experiments.resumable import RESULTS, mean_sdr, run_rows
from common.recipes.recipe import Recipe
from common.recipes.table import RECIPES
from common.songs.dataset import GENERATOR_VERSION
from common.training.loop import fit
from common.training.validation import ValidationLoss

N_CHANNELS = (1, 2)
N_VALID = 20


def with_channels(n: int) -> Recipe:
    """The zoo's recipe for a net with `n` input channels."""
    made = RECIPES["d3net"]["zoo"]
    return replace(made, net=functools.partial(made.net, n_channels=n), n_channels=n)


def measure(key: dict) -> dict:
    """Train one net; its validation losses, and mean SDR in dB on songs not used in training."""
    made = with_channels(key["n_channels"])
    train = embedded_tracks("train", songs=SONG_SETS["zoo"])
    valid = embedded_tracks("valid", songs=SONG_SETS["zoo"])
    excerpts = Excerpts(train, made.seconds, made.config.seed, made.augment, made.n_channels)
    held_out = Excerpts(valid, made.seconds, 0, NO_AUGMENT)
    validate = ValidationLoss(made.objective, held_out, n_excerpts=32)
    torch.manual_seed(made.config.seed)
    net, folder = made.net(), Path("runs") / f"mono-vs-stereo-{key['n_channels']}"
    history = fit(net, made.objective, excerpts, made.config, validate, folder, resume=True)
    separator = made.separator(net.cpu()).eval()
    judged = {
        "valid": valid[:N_VALID],
        "test": embedded_tracks("test", songs=SONG_SETS["live"]),
        "excerpt": [real_excerpt()],
    }
    return {
        "validation": history.validation,
        "sdr": {split: mean_sdr(separator, tracks) for split, tracks in judged.items()},
    }


def about() -> dict:
    """The facts that hold for both rows."""
    return {
        "generator_version": GENERATOR_VERSION,
        "n_valid": N_VALID,
        "recipe": written(with_channels(2)),
        "hardware": platform.machine(),
    }


def main() -> None:
    """Fill in the rows that are missing."""
    run_rows(
        RESULTS / "mono_vs_stereo.json", about(), [{"n_channels": n} for n in N_CHANNELS], measure
    )


if __name__ == "__main__":
    main()
