"""The recipes of Spleeter, chapter 15: a net of its own for each source."""

from __future__ import annotations

from torch import nn

from common import SOURCES
from common.models.spleeter import RatioMasks, SpleeterNet
from common.models.unet import PerSource
from common.recipes.recipe import Recipe, family
from common.separation.separators import MaskSeparator
from common.training.objectives import PhaseSensitiveObjective


def spleeter_nets(elu: bool = True, **size: object) -> PerSource:
    """A net for each of the four sources, with the activations of the published four stems."""
    return PerSource({source: SpleeterNet(elu=elu, **size) for source in SOURCES})


def sharing_nets(elu: bool = True, **size: object) -> RatioMasks:
    """The same nets, with masks that are shares of the energy of every bin."""
    return RatioMasks(spleeter_nets(elu, **size))


def ratio_masks(net: nn.Module, **settings: object) -> MaskSeparator:
    """Separate with masks normalised to shares of the energy, although trained independently."""
    return MaskSeparator(RatioMasks(net), **settings)


_SENSITIVE = {"objective": PhaseSensitiveObjective, "power": 0.3, "momentum": 0.1}

# 1.45 s are 64 frames, which six halvings divide without a remainder.
SPLEETER: dict[str, Recipe] = family(
    {"net": sharing_nets, "n_channels": 2},
    {
        "smoke": {"channels": (2, 4, 4), "momentum": 0.1},
        "live": {
            **_SENSITIVE,
            "seconds": 1.45,
            "config": {"steps": 85, "batch_size": 2, "validate_every": 50},
            "channels": (6, 12, 16, 24, 32),
            "dropout": 0.0,
        },
        "live-gpu": {**_SENSITIVE, "seconds": 2.9},
        "zoo": {
            **_SENSITIVE,
            "seconds": 1.45,
            "config": {"steps": 5000, "batch_size": 6},
            "channels": (8, 16, 24, 32, 48, 64),
            "dropout": 0.1,
        },
        # The published size, transform, loss and learning rate, on 512 frames at a time; its
        # masks do not meet before they are used.
        "paper": {
            "net": spleeter_nets,
            "separator": ratio_masks,
            "seconds": 11.86,
            "config": {"steps": 1_500_000, "batch_size": 4, "learning_rate": 1e-4},
        },
    },
)
"""Scale → recipe."""
