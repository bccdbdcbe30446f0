"""The recipes of all models at every scale; `train` runs one, `load` returns the result."""

from common.recipes.checkpoints import (
    BLENDS,
    CHECKPOINTS,
    best_model,
    bound_or_model,
    card,
    load,
    measured_blends,
    save_checkpoint,
    separators,
    trained_models,
)
from common.recipes.recipe import BENCH_STFT, Recipe
from common.recipes.table import RECIPES, recipe, unknown_model
from common.recipes.training import train

__all__ = [
    "BENCH_STFT",
    "BLENDS",
    "CHECKPOINTS",
    "RECIPES",
    "Recipe",
    "best_model",
    "bound_or_model",
    "card",
    "load",
    "measured_blends",
    "recipe",
    "save_checkpoint",
    "separators",
    "train",
    "trained_models",
    "unknown_model",
]
