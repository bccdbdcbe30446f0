"""The table of recipes: net, objective, data and training of every model at every scale."""

from __future__ import annotations

import difflib

import torch

from common.recipes.clustering import CHIMERA, DEEP_CLUSTERING
from common.recipes.d3net import D3NET
from common.recipes.mask_inference import MASK_INFERENCE
from common.recipes.open_unmix import OPEN_UNMIX
from common.recipes.recipe import Recipe
from common.recipes.spleeter import SPLEETER
from common.recipes.unet import UNET
from common.support.errors import UsageError

RECIPES: dict[str, dict[str, Recipe]] = {
    "mask-inference": MASK_INFERENCE,
    "deep-clustering": DEEP_CLUSTERING,
    "chimera": CHIMERA,
    "unet": UNET,
    "spleeter": SPLEETER,
    "open-unmix": OPEN_UNMIX,
    "d3net": D3NET,
}
"""Model name → scale → recipe; "live-gpu" replaces "live" on a machine with a GPU."""


def recipe(name: str, scale: str) -> Recipe:
    """The recipe of a model at a scale. Raises UsageError for an unknown name, with the nearest."""
    if name not in RECIPES:
        raise unknown_model(name, RECIPES)
    return RECIPES[name][recipe_key(scale)]


def recipe_key(scale: str) -> str:
    """The key of a scale in the table: the live scale is a larger recipe where there is a GPU."""
    return "live-gpu" if scale == "live" and torch.cuda.is_available() else scale


def unknown_model(name: str, known: dict[str, object] | list[str]) -> UsageError:
    """The error for a model that does not exist, naming the one that was probably meant."""
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    hint = f"did you mean {nearest[0]}?" if nearest else f"there are {', '.join(sorted(known))}"
    return UsageError(f"there is no model {name!r}; {hint}")
