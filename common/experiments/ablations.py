"""Which changes bring the mask nets closer to the ideal mask? One change of a zoo recipe at a time.

`python -m common.experiments.ablations` trains each on some of the zoo's songs and for some of its
steps, evaluates it on validation songs, and writes book/results/ablations.json row by row; an
interrupted run continues.
"""

from __future__ import annotations

import functools
import json
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor, nn

from common import SOURCES
from common.data.embedded import SONG_SETS, embedded_tracks
from common.data.excerpts import Excerpts
from common.data.tracks import Track
from common.experiments.resumable import RESULTS, mean_sdr, run_rows
from common.experiments.trial import trial
from common.models.spleeter import RatioMasks
from common.models.unet import PerSource, UNet
from common.recipes.recipe import BENCH_STFT, Recipe
from common.recipes.table import RECIPES
from common.separation.separators import MaskSeparator
from common.signal.masks import apply_mask
from common.signal.stft import STFT
from common.songs.dataset import GENERATOR_VERSION

STEPS = 1000
N_TRAIN, N_VALID = 120, 10
Change = Callable[[Recipe], Recipe]


@dataclass(frozen=True)
class ErrorInDecibels:
    """Mean level of the error over stems and excerpts: quiet stems count as much as loud ones."""

    stft: STFT
    floor: float = 1e-2

    def __call__(self, net: nn.Module, mixture: Tensor, sources: Tensor) -> Tensor:
        spectrum = self.stft(mixture)
        error = apply_mask(net(spectrum.abs()), spectrum) - self.stft(sources)
        energy = spectrum.abs().square().sum(dim=(1, 2, 3)) + 1e-6
        return torch.log(error.abs().square().sum(dim=(2, 3, 4)).T / energy + self.floor).mean()


def same(made: Recipe) -> Recipe:
    """The unchanged recipe."""
    return made


def sized(**size: object) -> Change:
    """Change the size of the net."""
    return lambda made: replace(made, net=functools.partial(made.net, **size))


def trained_with(**config: object) -> Change:
    """Change the training configuration."""
    return lambda made: replace(made, config=replace(made.config, **config))


def smaller_batches(made: Recipe) -> Recipe:
    """Half as many excerpts in a step, and twice as many steps."""
    config = made.config
    return trained_with(batch_size=config.batch_size // 2, steps=2 * config.steps)(made)


def sharing(made: Recipe) -> Recipe:
    """Masks trained as shares of each bin's energy, without a filter after them."""
    return replace(
        made,
        net=lambda: RatioMasks(made.net(), BENCH_STFT.n_bins),
        separator=functools.partial(MaskSeparator, stft=BENCH_STFT, segment=12.0),
    )


def stereo(made: Recipe) -> Recipe:
    """A net with both channels as input."""
    return replace(sized(n_channels=2)(made), n_channels=2)


def four_bodies(made: Recipe) -> Recipe:
    """A net of half the width for each source."""
    size = made.net.keywords | {
        "channels": [c // 2 for c in made.net.keywords["channels"]],
        "n_sources": 1,
    }
    return replace(made, net=lambda: PerSource({s: UNet(**size) for s in SOURCES}))


def in_decibels(made: Recipe) -> Recipe:
    """Change the loss to the error in dB."""
    return replace(made, objective=ErrorInDecibels(BENCH_STFT))


BEFORE: dict[str, Recipe] = {
    "unet": RECIPES["unet"]["zoo"],
    "open-unmix": trained_with(batch_size=8, learning_rate=5e-3)(RECIPES["open-unmix"]["zoo"]),
    "d3net": replace(sized(n_channels=1)(RECIPES["d3net"]["zoo"]), n_channels=1),
}
"""Model → the zoo recipe that is changed, without the changes that were adopted later."""

CHANGES: dict[str, dict[str, Change]] = {
    "unet": {
        "as it is": same,
        "half the batch, twice the steps": smaller_batches,
        "masks that share": sharing,
        "four bodies": four_bodies,
        "half as wide again": sized(channels=(12, 24, 48, 96, 192, 192)),
        "error in decibels": in_decibels,
    },
    "open-unmix": {
        "as it is": same,
        "half the batch, twice the steps": smaller_batches,
        "masks that share": sharing,
        "no dropout": sized(dropout=0.0),
    },
    "d3net": {
        "as it is": same,
        "half the batch, twice the steps": smaller_batches,
        "stereo": stereo,
    },
}
"""Model → name of a change → the change."""

AGAIN = [
    ("d3net", "as it is"),
    ("d3net", "stereo"),
    ("unet", "as it is"),
    ("unet", "masks that share"),
    ("open-unmix", "as it is"),
    ("open-unmix", "masks that share"),
    ("d3net", "half the batch, twice the steps"),
]
"""Rows with a second seed: changes of more than 0.2 dB with the first one, and their baselines."""


def shortened(made: Recipe) -> Recipe:
    """The same recipe with fewer steps."""
    return trained_with(steps=STEPS, validate_every=10 * STEPS)(made)


def written(made: Recipe) -> dict:
    """The settings of a recipe, in the types of JSON."""
    facts = {
        "net": made.net.keywords,
        "seconds_per_excerpt": made.seconds,
        "n_channels": made.n_channels,
        "augment": made.augment.facts(),
        "config": made.config.facts(),
    }
    return json.loads(json.dumps(facts, default=asdict))


@functools.cache
def songs(split: str) -> list[Track]:
    """The training or the validation songs; no test songs."""
    limit = {"train": N_TRAIN, "valid": N_VALID}[split]
    return embedded_tracks(split, limit=limit, songs=SONG_SETS["zoo"])


def measure(key: dict) -> dict:
    """Train one variant; SDR (dB) per source, mean over the validation songs; core seconds."""
    made = CHANGES[key["model"]][key["change"]](shortened(BEFORE[key["model"]]))
    excerpts = Excerpts(songs("train"), made.seconds, key["seed"], made.augment, made.n_channels)
    done = trial(made.net, made.objective, excerpts, made.config, key["seed"], made.prepare)
    return {
        "sdr": mean_sdr(made.separator(done.net).eval(), songs("valid")),
        "parameters": done.n_parameters,
        "core_seconds": round(done.core_seconds),
    }


def runs() -> list[tuple[str, str, int]]:
    """Model, change and seed of every row: all from seed 0, some from seed 1 as well."""
    once = [(model, change, 0) for model, changes in CHANGES.items() for change in changes]
    return once + [(model, change, 1) for model, change in AGAIN]


def about() -> dict:
    """The facts that hold for all rows."""
    return {
        "generator_version": GENERATOR_VERSION,
        "songs": {"train": N_TRAIN, "valid": N_VALID},
        "recipes": {model: written(shortened(made)) for model, made in BEFORE.items()},
        "hardware": platform.machine(),
    }


def main() -> None:
    """Fill in the rows that are missing."""
    keys = [{"model": m, "change": change, "seed": seed} for m, change, seed in runs()]
    run_rows(RESULTS / "ablations.json", about(), keys, measure)


if __name__ == "__main__":
    main()
