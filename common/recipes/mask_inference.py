"""The recipes of mask inference, chapter 11."""

from __future__ import annotations

from common.models.mask_inference import MaskInference
from common.recipes.recipe import Recipe, family
from common.training.objectives import (
    PhaseSensitiveObjective,
)

MASK_INFERENCE: dict[str, Recipe] = family(
    {"net": MaskInference},
    {
        "smoke": {"hidden_size": 8},
        "live": {"config": {"steps": 280}, "hidden_size": 32, "n_layers": 1},
        "live-gpu": {"hidden_size": 300, "n_layers": 4},
        "zoo": {
            "config": {"steps": 16_000},
            "objective": PhaseSensitiveObjective,
            "dropout": 0.1,
        },
        "paper": {
            "seconds": 5.0,
            "config": {"batch_size": 32},
            "n_bins": 2049,
            "hidden_size": 600,
            "n_layers": 4,
        },
    },
)
"""Scale → recipe."""
