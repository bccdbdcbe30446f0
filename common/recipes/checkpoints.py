"""Weights on disk: saved with the recipe that made them, and loaded as separators."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import nn

from common.classical.table import METHODS
from common.evaluation.oracles import BOUNDS, Bound
from common.recipes.table import RECIPES, unknown_model
from common.separation.separators import Separator
from common.support.errors import UsageError
from common.support.files import write_tensors

CHECKPOINTS = Path(__file__).parents[1] / "checkpoints"
"""Where `NAME.safetensors` and its model card `NAME.json` are committed."""


def save_checkpoint(path: Path, net: nn.Module, name: str, scale: str, half: bool = True) -> None:
    """Write weights (in half precision unless told otherwise) with the recipe that made them.

    Statistics, and what belongs to normalisation layers, stay in float32.
    """
    tensors = {}
    for key, x in net.state_dict().items():
        statistic = "norm" in key or "running" in key or "input_" in key
        keep = not half or not x.is_floating_point() or statistic
        tensors[key] = (x if keep else x.half()).cpu().contiguous()
    metadata = {"recipe": name, "scale": scale}
    write_tensors(path, tensors, metadata)


def load(name: str | Path) -> Separator:
    """A separator by name, trained or classical, or a trained one from a weights file.

    Raises UsageError for a name or a file that is no checkpoint of this book.
    """
    if str(name) in METHODS:
        return METHODS[str(name)]()
    path = Path(name)
    if path.suffix != ".safetensors":
        path = CHECKPOINTS / f"{name}.safetensors"
        if not path.exists():
            raise unknown_model(str(name), separators())
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        made = RECIPES[metadata["recipe"]][metadata["scale"]]
        net = made.net()
        net.load_state_dict(
            {
                key: x.to(torch.float32) if x.is_floating_point() else x
                for key, x in load_file(path).items()
            }
        )
    except (OSError, SafetensorError, KeyError, RuntimeError) as error:
        raise UsageError(f"{path} is no checkpoint of this book ({error})") from error
    return made.separator(net).eval()


def bound_or_model(name: str | Path) -> Separator | Bound:
    """A separator, or one of the trivial and ideal bounds, by its name."""
    if name in BOUNDS:
        return BOUNDS[name]
    if not str(name).endswith(".safetensors") and name not in separators():
        raise unknown_model(str(name), [*separators(), *BOUNDS])
    return load(name)


def trained_models() -> list[str]:
    """Names of the committed checkpoints."""
    return sorted(path.stem for path in CHECKPOINTS.glob("*.safetensors"))


def separators() -> list[str]:
    """Names of all that `load` knows: the trained models and the classical methods."""
    return [*trained_models(), *METHODS]


def card(name: str) -> dict:
    """The model card of a committed checkpoint."""
    return json.loads((CHECKPOINTS / f"{name}.json").read_text(encoding="utf-8"))
