"""The recipes of Open-Unmix, chapter 16."""

from __future__ import annotations

from functools import partial

from common import SOURCES
from common.data.embedded import SONG_SETS
from common.models.open_unmix import OpenUnmix, scale_input
from common.models.unet import PerSource
from common.recipes.recipe import Recipe, mask_net
from common.separation.separators import WienerSeparator
from common.signal.stft import STFT
from common.training.config import TrainConfig
from common.training.objectives import (
    PhaseSensitiveObjective,
)


def open_unmix_nets(**size: object) -> PerSource:
    """One net of its own for each of the four sources."""
    return PerSource({source: OpenUnmix(**size) for source in SOURCES})


_open_unmix = partial(
    mask_net,
    open_unmix_nets,
    objective=PhaseSensitiveObjective,
    separator=WienerSeparator,
    prepare=scale_input,
    n_channels=2,
)


OPEN_UNMIX: dict[str, Recipe] = {
    "smoke": _open_unmix(
        1.0,
        TrainConfig(steps=8, batch_size=2),
        SONG_SETS["smoke"],
        n_bins=1025,
        max_bin=743,
        hidden_size=8,
        n_layers=1,
    ),
    "live": _open_unmix(
        1.0,
        TrainConfig(steps=200, batch_size=4, learning_rate=1e-2),
        SONG_SETS["live"],
        n_bins=1025,
        max_bin=743,
        hidden_size=24,
        n_layers=1,
    ),
    "live-gpu": _open_unmix(
        3.0,
        TrainConfig(steps=600, batch_size=16, learning_rate=3e-3),
        SONG_SETS["live"],
        n_bins=1025,
        max_bin=743,
        hidden_size=256,
    ),
    "zoo": _open_unmix(
        2.0,
        TrainConfig(steps=24_000, batch_size=4, learning_rate=3e-3, validate_every=2000),
        SONG_SETS["zoo"],
        n_bins=1025,
        max_bin=743,
        hidden_size=72,
        n_layers=2,
        dropout=0.1,
    ),
    # The published size and transform; umxhq trains each net to convergence instead.
    "paper": _open_unmix(
        6.0,
        TrainConfig(steps=200_000, batch_size=16, validate_every=2000, save_every=2000),
        SONG_SETS["zoo"],
        STFT(4096, 1024, pad_mode="reflect"),
        sample_rate=44100,
    ),
}
"""Scale → recipe."""
