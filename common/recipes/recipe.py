"""The class of recipes, and the functions that make them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from torch import Tensor, nn

from common import SAMPLE_RATE
from common.data.embedded import SONG_SETS, SongSet
from common.data.excerpts import Augment, Excerpts
from common.separation.separators import MaskSeparator, Separator
from common.signal.stft import STFT
from common.training.config import TrainConfig
from common.training.objectives import MaskObjective

BENCH_STFT = STFT(n_fft=2048, hop_length=512)
"""The transform of the book's mask nets: windows of 93 ms at 22,050 Hz."""


@dataclass(frozen=True)
class Recipe:
    """All settings of a model: run twice, they give the same weights on the same machine.

    net: makes an untrained net; objective: what it minimises; separator: wraps it for use;
    seconds, n_channels: length and channels of a training excerpt; songs: the training set;
    prepare, finish: what is measured on the excerpts and stored in the net before and after
    training, if anything; precision: "auto" is bfloat16 on a GPU that supports it, "bf16" also on
    such a CPU, "no" float32 everywhere.
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
    prepare: Callable[[nn.Module, Excerpts], None] | None = None
    finish: Callable[[nn.Module, Excerpts], None] | None = None
    precision: str = "auto"


def mask_net(
    net: Callable[..., nn.Module],
    seconds: float,
    config: TrainConfig,
    songs: SongSet,
    stft: STFT = BENCH_STFT,
    sample_rate: int = SAMPLE_RATE,
    objective: Callable[[STFT], Callable] = MaskObjective,
    separator: Callable[..., Separator] = MaskSeparator,
    n_channels: int = 1,
    prepare: Callable[[nn.Module, Excerpts, STFT], None] | None = None,
    finish: Callable[[nn.Module, Excerpts, STFT], None] | None = None,
    precision: str = "auto",
    augment: Augment = Augment(),  # noqa: B008  (frozen)
    **size: object,
) -> Recipe:
    """The recipe of a net between a transform and its inverse; `size` goes to the net."""
    return Recipe(
        net=partial(net, **size),
        objective=objective(stft),
        separator=partial(separator, stft=stft, sample_rate=sample_rate),
        seconds=seconds,
        config=config,
        songs=songs,
        augment=augment,
        n_channels=n_channels,
        sample_rate=sample_rate,
        prepare=partial(prepare, stft=stft) if prepare else None,
        finish=partial(finish, stft=stft) if finish else None,
        precision=precision,
    )


_AT_SCALE: dict[str, dict[str, object]] = {
    "smoke": {
        "seconds": 1.0,
        "config": {"steps": 8, "batch_size": 2},
        "songs": SONG_SETS["smoke"],
    },
    "live": {
        "seconds": 1.0,
        "config": {"batch_size": 4, "learning_rate": 3e-3},
        "songs": SONG_SETS["live"],
    },
    "live-gpu": {
        "seconds": 3.0,
        "config": {"steps": 600, "batch_size": 16},
        "songs": SONG_SETS["live"],
    },
    "zoo": {
        "seconds": 2.0,
        "config": {"batch_size": 8, "learning_rate": 2e-3, "validate_every": 1000},
        "songs": SONG_SETS["zoo"],
    },
    "paper": {
        "config": {"steps": 200_000, "validate_every": 2000, "save_every": 2000},
        "songs": SONG_SETS["zoo"],
        "stft": STFT(4096, 1024),
        "sample_rate": 44100,
    },
}
"""What the recipes of most families have in common at a scale."""


def family(base: dict[str, object], own: dict[str, dict[str, object]]) -> dict[str, Recipe]:
    """Scale → recipe of one kind of net, each from the arguments of `mask_net`.

    base: settings that all its scales share; own: the settings of each scale, `config` as a
    dictionary of fields of `TrainConfig`. `own` overrides `base`, which overrides `_AT_SCALE`.
    """
    table = {}
    for key, usual in _AT_SCALE.items():
        config = TrainConfig(**usual["config"] | own[key].get("config", {}))
        table[key] = mask_net(**usual | base | own[key] | {"config": config})
    return table
