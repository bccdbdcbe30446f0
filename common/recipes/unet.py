"""The recipes of the U-Net, chapter 14."""

from __future__ import annotations

from functools import partial

from common.data.embedded import SONG_SETS
from common.models.unet import Patchwise, UNet
from common.recipes.recipe import Recipe, mask_net
from common.separation.separators import MaskSeparator
from common.signal.stft import STFT
from common.training.config import TrainConfig
from common.training.objectives import (
    PhaseSensitiveObjective,
)


def patchwise_separator(net: UNet, n_frames: int, margin: int, **settings: object) -> MaskSeparator:
    """Separate patch by patch, in the length that the net has learnt from."""
    return MaskSeparator(Patchwise(net, n_frames, margin), **settings)


_unet = partial(mask_net, UNet)


UNET: dict[str, Recipe] = {
    "smoke": _unet(1.0, TrainConfig(steps=8, batch_size=2), SONG_SETS["smoke"], channels=(4, 8, 8)),
    # 0.7 s are 32 frames, which five levels divide: nothing of a step is spent on padding.
    "live": _unet(
        0.7,
        TrainConfig(steps=300, batch_size=4, learning_rate=3e-3),
        SONG_SETS["live"],
        objective=PhaseSensitiveObjective,
        channels=(8, 16, 32, 64, 64),
        dropout=0.0,
        power=0.3,
    ),
    "live-gpu": _unet(
        2.94,
        TrainConfig(steps=600, batch_size=16),
        SONG_SETS["live"],
        objective=PhaseSensitiveObjective,
        power=0.3,
    ),
    # 1.46 s are 64 frames, which six levels divide.
    "zoo": _unet(
        1.46,
        TrainConfig(steps=12_000, batch_size=8, learning_rate=2e-3, validate_every=1000),
        SONG_SETS["zoo"],
        objective=PhaseSensitiveObjective,
        separator=partial(patchwise_separator, n_frames=64, margin=12),
        channels=(8, 16, 32, 64, 128, 128),
        dropout=0.1,
        power=0.3,
    ),
    # Jansson's transform and training loss; one net for the four sources of MUSDB18.
    "paper": _unet(
        11.9,
        TrainConfig(steps=200_000, batch_size=16, validate_every=2000, save_every=2000),
        SONG_SETS["zoo"],
        STFT(1024, 768),
        sample_rate=8192,
    ),
}
"""Scale → recipe."""
