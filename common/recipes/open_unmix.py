"""The recipes of Open-Unmix, chapter 16."""

from __future__ import annotations

from common import SOURCES
from common.models.open_unmix import OpenUnmix, scale_input
from common.models.unet import PerSource
from common.recipes.recipe import Recipe, family
from common.separation.separators import WienerSeparator
from common.signal.stft import STFT
from common.training.objectives import (
    PhaseSensitiveObjective,
)


def open_unmix_nets(**size: object) -> PerSource:
    """One net of its own for each of the four sources."""
    return PerSource({source: OpenUnmix(**size) for source in SOURCES})


# The bench has half the bins of the published transform.
_BENCH = {"n_bins": 1025, "max_bin": 743}


OPEN_UNMIX: dict[str, Recipe] = family(
    {
        "net": open_unmix_nets,
        "objective": PhaseSensitiveObjective,
        "separator": WienerSeparator,
        "prepare": scale_input,
        "n_channels": 2,
    },
    {
        "smoke": {**_BENCH, "hidden_size": 8, "n_layers": 1},
        "live": {
            **_BENCH,
            "config": {"steps": 200, "learning_rate": 1e-2},
            "hidden_size": 24,
            "n_layers": 1,
        },
        "live-gpu": {**_BENCH, "config": {"learning_rate": 3e-3}, "hidden_size": 256},
        "zoo": {
            **_BENCH,
            "config": {
                "steps": 24_000,
                "batch_size": 4,
                "learning_rate": 3e-3,
                "validate_every": 2000,
            },
            "hidden_size": 72,
            "n_layers": 2,
            "dropout": 0.1,
        },
        # The published size and transform; umxhq trains each net to convergence instead.
        "paper": {
            "seconds": 6.0,
            "config": {"batch_size": 16},
            "stft": STFT(4096, 1024, pad_mode="reflect"),
        },
    },
)
"""Scale → recipe."""
