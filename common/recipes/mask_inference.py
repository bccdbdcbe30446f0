"""The recipes of mask inference, chapter 11."""

from __future__ import annotations

from functools import partial

from common.data.embedded import SONG_SETS
from common.models.mask_inference import MaskInference
from common.recipes.recipe import Recipe, mask_net
from common.signal.stft import STFT
from common.training.config import TrainConfig
from common.training.objectives import (
    PhaseSensitiveObjective,
)

_mask_inference = partial(mask_net, MaskInference)


MASK_INFERENCE: dict[str, Recipe] = {
    "smoke": _mask_inference(
        1.0, TrainConfig(steps=8, batch_size=2), SONG_SETS["smoke"], hidden_size=8
    ),
    "live": _mask_inference(
        1.0,
        TrainConfig(steps=400, batch_size=4, learning_rate=3e-3),
        SONG_SETS["live"],
        hidden_size=32,
        n_layers=1,
    ),
    "live-gpu": _mask_inference(
        3.0,
        TrainConfig(steps=600, batch_size=16),
        SONG_SETS["live"],
        hidden_size=300,
        n_layers=4,
    ),
    "zoo": _mask_inference(
        2.0,
        TrainConfig(steps=16_000, batch_size=8, learning_rate=2e-3, validate_every=1000),
        SONG_SETS["zoo"],
        objective=PhaseSensitiveObjective,
        dropout=0.1,
    ),
    "paper": _mask_inference(
        5.0,
        TrainConfig(steps=200_000, batch_size=32, validate_every=2000, save_every=2000),
        SONG_SETS["zoo"],
        STFT(4096, 1024),
        sample_rate=44100,
        n_bins=2049,
        hidden_size=600,
        n_layers=4,
    ),
}
"""Scale → recipe."""
