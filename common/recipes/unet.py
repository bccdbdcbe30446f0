"""The recipes of the U-Net, chapter 14."""

from __future__ import annotations

from functools import partial

from common.models.unet import Patchwise, UNet
from common.recipes.recipe import Recipe, family
from common.separation.separators import MaskSeparator
from common.signal.stft import STFT
from common.training.objectives import (
    PhaseSensitiveObjective,
)


def patchwise_separator(net: UNet, n_frames: int, margin: int, **settings: object) -> MaskSeparator:
    """Separate patch by patch, each as long as the excerpts of its training."""
    return MaskSeparator(Patchwise(net, n_frames, margin), **settings)


_SENSITIVE = {"objective": PhaseSensitiveObjective, "power": 0.3}


UNET: dict[str, Recipe] = family(
    {"net": UNet},
    {
        "smoke": {"channels": (4, 8, 8)},
        # 0.7 s are 32 frames, which five levels divide: nothing of a step is spent on padding.
        "live": {
            **_SENSITIVE,
            "seconds": 0.7,
            "config": {"steps": 200},
            "channels": (8, 16, 32, 64, 64),
            "dropout": 0.0,
        },
        "live-gpu": {**_SENSITIVE, "seconds": 2.94},
        # 1.46 s are 64 frames, which six levels divide.
        "zoo": {
            **_SENSITIVE,
            "seconds": 1.46,
            "config": {"steps": 12_000},
            "separator": partial(patchwise_separator, n_frames=64, margin=12),
            "channels": (8, 16, 32, 64, 128, 128),
            "dropout": 0.1,
        },
        # Jansson's transform and training loss; one net for the four sources of MUSDB18.
        "paper": {
            "seconds": 11.9,
            "config": {"batch_size": 16},
            "stft": STFT(1024, 768),
            "sample_rate": 8192,
        },
    },
)
"""Scale → recipe."""
