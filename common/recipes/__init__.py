"""Recipes: what makes each model at every scale; `train` follows one, `load` gives the result."""

from common.recipes.checkpoints import (
    CHECKPOINTS,
    bound_or_model,
    card,
    load,
    save_checkpoint,
    separators,
    trained_models,
)
from common.recipes.recipe import BENCH_STFT, Recipe
from common.recipes.table import RECIPES, recipe, unknown_model
from common.recipes.training import train

__all__ = [
    "BENCH_STFT",
    "CHECKPOINTS",
    "RECIPES",
    "Recipe",
    "bound_or_model",
    "card",
    "load",
    "recipe",
    "save_checkpoint",
    "separators",
    "train",
    "trained_models",
    "unknown_model",
]
