"""Weights on disk: saved with the recipe that made them, and loaded as separators or as a blend.

Modules that training does not need are imported where they are used, so that training runs on
machines with PyTorch only.
"""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import nn

from common.recipes.parts import build, describe
from common.recipes.table import RECIPES, recipe, recipe_key, unknown_model
from common.separation.blend import Blend
from common.separation.separators import Separator
from common.support.errors import UsageError
from common.support.files import write_tensors
from common.support.renamed import renamed

if TYPE_CHECKING:
    from common.evaluation.oracles import Bound

CHECKPOINTS = Path(__file__).parents[1] / "checkpoints"
"""Where `NAME.safetensors` and its model card `NAME.json` are committed."""

BLENDS = CHECKPOINTS / "blend.json"
"""Weights and SDR of blends, written by `python -m common.experiments.blend`."""

NOT_OURS = (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError)
"""What loading raises for a file that `save_checkpoint` has not written."""

_HALVED = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.RNNBase,
    nn.MultiheadAttention,
)
"""Layers whose weights are stored in half precision: most of the weights, and no statistics."""


def save_checkpoint(path: Path, net: nn.Module, name: str, scale: str) -> None:
    """Write weights with all that is needed to build net and separator again.

    Weights of linear, convolutional, recurrent and attention layers are written in half precision;
    normalisation, scales and buffers stay in float32.
    """
    halved = {id(x) for layer in net.modules() if isinstance(layer, _HALVED) for x in own(layer)}
    tensors = {}
    for key, x in net.state_dict(keep_vars=True).items():
        tensors[key] = (x.half() if id(x) in halved else x).detach().cpu().contiguous()
    write_tensors(path, tensors, description(name, scale))


def own(layer: nn.Module) -> Iterator[nn.Parameter]:
    """The parameters of a layer itself, without those of layers inside it."""
    return layer.parameters(recurse=False)


def description(name: str, scale: str) -> dict[str, str]:
    """What a weights file states: the key of its recipe, its net and its separator."""
    made = recipe(name, scale)
    return {
        "recipe": name,
        "scale": recipe_key(scale),
        "net": json.dumps(describe(made.net)),
        "separator": json.dumps(describe(made.separator)),
    }


def load(name: str | Path) -> Separator:
    """A separator by name, trained or classical, or a trained one from a weights file.

    Names or files with a plus between them give their blend. Raises UsageError for a name or a file
    that is no checkpoint of this book, and for models that cannot be blended.
    """
    from common.classical.table import METHODS

    if is_blend(name):
        return load_blend(str(name))
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
        net, separator = described_parts(metadata)
        net.load_state_dict(
            {
                key: x.to(torch.float32) if x.is_floating_point() else x
                for key, x in renamed(load_file(path)).items()
            }
        )
        return separator(net).eval()
    except NOT_OURS as error:
        raise UsageError(f"{path} is no checkpoint of this book ({error})") from error


def is_blend(name: str | Path) -> bool:
    """Whether a name means several models, and not a file that has a plus in its own name."""
    return "+" in str(name) and not Path(name).exists()


def load_blend(name: str) -> Blend:
    """The blend `a+b+c`, with its fitted weights, or with equal weights if it has none.

    Raises UsageError for unknown names, a name that comes twice, and sources that differ.
    """
    names = name.split("+")
    for part in names:
        if names.count(part) > 1:
            raise UsageError(f"{name} names {part} twice; name each model once")
    parts = {part: load(part) for part in names}
    fitted = [x["weights"] for x in measured_blends().values() if set(x["weights"]) == set(names)]
    if not fitted:
        return Blend(parts).eval()
    sources = parts[names[0]].sources
    rows = [[fitted[0][part][source] for source in sources] for part in names]
    return Blend(parts, torch.tensor(rows)).eval()


def measured_blends() -> dict[str, dict]:
    """The entries of `BLENDS` by name, of blends whose parts still have the same weights."""
    if not BLENDS.exists():
        return {}
    found = json.loads(BLENDS.read_text(encoding="utf-8"))
    measured, today = found["weights_sha256"], trained_models()
    same = {name for name in today if measured.get(name) == weights_hash(name)}
    return {
        name: about for name, about in found["blends"].items() if about["weights"].keys() <= same
    }


def weights_hash(name: str) -> str:
    """SHA-256 of the weights file of a committed checkpoint."""
    return hashlib.sha256((CHECKPOINTS / f"{name}.safetensors").read_bytes()).hexdigest()


def best_model(measured: dict[str, dict], speed: float = 4.0) -> str:
    """Which model `separate` should use: the best of those that are fast enough.

    measured: name → "sdr" of each source in dB, and "real_time_factor" on one core, of nets and
    blends alike. The best has the highest mean over its sources.
    """
    fast = {name: x for name, x in measured.items() if x["real_time_factor"] >= speed}
    return max(fast, key=lambda name: statistics.mean(fast[name]["sdr"].values()))


def described_parts(metadata: dict[str, str]) -> tuple[nn.Module, Callable[[nn.Module], Separator]]:
    """The untrained net that a weights file describes, and what makes a separator of it.

    The first checkpoints named their recipe only; those recipes stay as they are.
    """
    if "net" not in metadata:
        made = RECIPES[metadata["recipe"]][metadata["scale"]]
        return made.net(), made.separator
    net, settings = build(json.loads(metadata["net"])), json.loads(metadata["separator"])
    if not isinstance(net, nn.Module):
        raise TypeError("it describes no net")
    if "make" not in settings:
        raise TypeError("it describes no separator")
    return net, lambda net: build(settings, net)


def bound_or_model(name: str | Path) -> Separator | Bound:
    """A separator, or one of the trivial and ideal bounds, by its name."""
    from common.evaluation.oracles import BOUNDS

    if name in BOUNDS:
        return BOUNDS[name]
    is_known = str(name).endswith(".safetensors") or name in separators() or is_blend(name)
    if not is_known:
        raise unknown_model(str(name), [*separators(), *BOUNDS])
    return load(name)


def trained_models() -> list[str]:
    """Names of the committed checkpoints."""
    return sorted(path.stem for path in CHECKPOINTS.glob("*.safetensors"))


def separators() -> list[str]:
    """All names that `load` accepts: the trained models and the classical methods."""
    from common.classical.table import METHODS

    return [*trained_models(), *METHODS]


def card(name: str) -> dict:
    """The model card of a committed checkpoint."""
    return json.loads((CHECKPOINTS / f"{name}.json").read_text(encoding="utf-8"))
