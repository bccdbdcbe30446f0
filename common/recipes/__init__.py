"""One table: which net, objective, data and training make a model, at every scale."""

from __future__ import annotations

import difflib
import json
import shutil
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import nn

from common.bounds import BOUNDS, Bound
from common.classical.table import METHODS
from common.data import NO_AUGMENT, Excerpts, embedded_songs
from common.errors import UsageError
from common.files import check_place, write_json, write_tensors
from common.musdb_folder import training_tracks
from common.recipes.masking import MASKING
from common.recipes.recipe import BENCH_STFT as BENCH_STFT
from common.recipes.recipe import Recipe
from common.scale import scale as scale
from common.separation import Separator
from common.training import STATE, ValidationLoss, fit

RECIPES: dict[str, dict[str, Recipe]] = MASKING
"""Model name → scale → recipe; "live-gpu" is what the live scale becomes on a GPU."""

CHECKPOINTS = Path(__file__).parents[1] / "checkpoints"
"""Where `NAME.safetensors` and its model card `NAME.json` are committed."""


def recipe(name: str, scale: str) -> Recipe:
    """The recipe of a model at a scale. Raises UsageError for an unknown name, with the nearest."""
    if name not in RECIPES:
        raise unknown_model(name, RECIPES)
    table = RECIPES[name]
    if scale == "live" and torch.cuda.is_available():
        scale = "live-gpu"
    return table[scale]


def unknown_model(name: str, known: dict[str, object] | list[str]) -> UsageError:
    """The error for a model that does not exist, naming the one that was probably meant."""
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    hint = f"did you mean {nearest[0]}?" if nearest else f"there are {', '.join(sorted(known))}"
    return UsageError(f"there is no model {name!r}; {hint}")


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


def train(
    name: str,
    scale: str = "live",
    root: Path | None = None,
    folder: Path | None = None,
    resume: bool = False,
) -> Path:
    """Train a model by its recipe, on the embedded songs or on a MUSDB18 folder.

    Training state and the finished weights lie in `folder` (default `runs/NAME-SCALE`); returns
    the path of the weights, which `load` takes. `resume` goes on from an interrupted run.
    """
    made = recipe(name, scale)
    folder = folder or Path("runs") / f"{name}-{scale}"
    if (folder / STATE).exists() and not resume:
        raise UsageError(
            f"{folder} holds a training run; go on with --resume, or name another --out"
        )
    check_place(folder / STATE)
    root = root or embedded_songs(made.songs, n_test=0)
    tracks = training_tracks(root, "train", made.sample_rate)
    training = Excerpts(tracks, made.seconds, made.config.seed, made.augment, made.n_channels)
    validate = None
    if held_out := training_tracks(root, "valid", made.sample_rate):
        excerpts = Excerpts(held_out, made.seconds, 0, NO_AUGMENT)
        validate = ValidationLoss(made.objective, excerpts, n_excerpts=32)
    torch.manual_seed(made.config.seed)
    net = made.net()
    if made.prepare:
        made.prepare(net, training)
    history = fit(net, made.objective, training, made.config, validate, folder, resume)
    if made.finish:
        made.finish(net.cpu().eval(), training)
    write_json(folder / "history.json", asdict(history))
    if (Path(root) / "set.json").exists():
        shutil.copy(Path(root) / "set.json", folder / "songs.json")
    weights = folder / f"{name}.safetensors"
    save_checkpoint(weights, net, name, scale)
    return weights
