"""One table: which net, objective, data and training make a model, at every scale."""

from __future__ import annotations

import difflib
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from common import SAMPLE_RATE
from common.bounds import BOUNDS, Bound
from common.classical.table import METHODS
from common.data import NO_AUGMENT, SONG_SETS, Augment, Excerpts, SongSet, embedded_songs
from common.errors import UsageError
from common.files import check_place, write_json, write_tensors
from common.losses import MaskObjective, PhaseSensitiveObjective
from common.models.mask_inference import MaskInference
from common.models.unet import UNet
from common.musdb_folder import training_tracks
from common.scale import scale as scale
from common.separation import MaskSeparator, Separator
from common.stft import STFT
from common.training import STATE, TrainConfig, ValidationLoss, fit

BENCH_STFT = STFT(n_fft=2048, hop_length=512)
"""The transform of the book's mask nets: windows of 93 ms at 22,050 Hz."""

CHECKPOINTS = Path(__file__).parent / "checkpoints"
"""Where `NAME.safetensors` and its model card `NAME.json` are committed."""


@dataclass(frozen=True)
class Recipe:
    """Everything that makes a model: run twice, it gives the same weights on the same machine.

    net: makes an untrained net; objective: what it minimises; separator: wraps it for use;
    seconds, n_channels: length and width of a training excerpt; songs: what it learns from.
    """

    net: Callable[[], nn.Module]
    objective: Callable[[nn.Module, Tensor, Tensor], Tensor]
    separator: Callable[[nn.Module], Separator]
    seconds: float
    config: TrainConfig
    songs: SongSet
    augment: Augment = field(default_factory=Augment)
    n_channels: int = 1
    sample_rate: int = SAMPLE_RATE


def _mask_net(
    net: Callable[..., nn.Module],
    seconds: float,
    config: TrainConfig,
    songs: SongSet,
    stft: STFT = BENCH_STFT,
    sample_rate: int = SAMPLE_RATE,
    objective: type = MaskObjective,
    **size: object,
) -> Recipe:
    return Recipe(
        net=partial(net, **size),
        objective=objective(stft),
        separator=partial(MaskSeparator, stft=stft, sample_rate=sample_rate),
        seconds=seconds,
        config=config,
        songs=songs,
        sample_rate=sample_rate,
    )


_mask_inference = partial(_mask_net, MaskInference)
_unet = partial(_mask_net, UNet)

RECIPES: dict[str, dict[str, Recipe]] = {
    "mask-inference": {
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
    },
    "unet": {
        "smoke": _unet(
            1.0, TrainConfig(steps=8, batch_size=2), SONG_SETS["smoke"], channels=(4, 8, 8)
        ),
        "live": _unet(
            1.0,
            TrainConfig(steps=150, batch_size=4, learning_rate=3e-3),
            SONG_SETS["live"],
            objective=PhaseSensitiveObjective,
            channels=(8, 16, 32, 64, 64),
            dropout=0.0,
            power=0.3,
        ),
        "live-gpu": _unet(
            3.0,
            TrainConfig(steps=600, batch_size=16),
            SONG_SETS["live"],
            objective=PhaseSensitiveObjective,
            power=0.3,
        ),
        "zoo": _unet(
            2.0,
            TrainConfig(steps=10_000, batch_size=8, learning_rate=2e-3, validate_every=1000),
            SONG_SETS["zoo"],
            objective=PhaseSensitiveObjective,
            channels=(8, 16, 32, 64, 128, 128),
            dropout=0.1,
            power=0.3,
        ),
        # Jansson's transform and training loss; one net for the four sources of MUSDB18.
        "paper": _unet(
            12.0,
            TrainConfig(steps=200_000, batch_size=16, validate_every=2000, save_every=2000),
            SONG_SETS["zoo"],
            STFT(1024, 768),
            sample_rate=8192,
        ),
    },
}
"""Model name → scale → recipe; "live-gpu" is what the live scale becomes on a GPU."""


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

    Statistics of normalisation layers stay in float32.
    """
    tensors = {}
    for key, x in net.state_dict().items():
        keep = not half or not x.is_floating_point() or "norm" in key
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
    history = fit(net, made.objective, training, made.config, validate, folder, resume)
    write_json(folder / "history.json", asdict(history))
    if (Path(root) / "set.json").exists():
        shutil.copy(Path(root) / "set.json", folder / "songs.json")
    weights = folder / f"{name}.safetensors"
    save_checkpoint(weights, net, name, scale)
    return weights
