"""The recipes of Spleeter, chapter 15: a net of its own for each source."""

from __future__ import annotations

from functools import partial

from torch import nn

from common import SOURCES
from common.data.embedded import SONG_SETS
from common.models.spleeter import RatioMasks, SpleeterNet
from common.models.unet import PerSource
from common.recipes.recipe import Recipe, mask_net
from common.separation.separators import MaskSeparator
from common.signal.stft import STFT
from common.training.config import TrainConfig
from common.training.objectives import PhaseSensitiveObjective


def spleeter_nets(elu: bool = True, **size: object) -> PerSource:
    """A net for each of the four sources, with the activations of the published four stems."""
    return PerSource({source: SpleeterNet(elu=elu, **size) for source in SOURCES})


def sharing_nets(elu: bool = True, **size: object) -> RatioMasks:
    """The same nets, answering for masks that share the energy of every bin."""
    return RatioMasks(spleeter_nets(elu, **size))


def ratio_masks(net: nn.Module, **settings: object) -> MaskSeparator:
    """Separate with masks that share out the energy, although they were trained apart."""
    return MaskSeparator(RatioMasks(net), **settings)


_sharing = partial(mask_net, sharing_nets, n_channels=2)

# 1.45 s are 64 frames, which six halvings divide without a remainder.
SPLEETER: dict[str, Recipe] = {
    "smoke": _sharing(
        1.0,
        TrainConfig(steps=8, batch_size=2),
        SONG_SETS["smoke"],
        channels=(2, 4, 4),
        momentum=0.1,
    ),
    "live": _sharing(
        1.45,
        TrainConfig(steps=150, batch_size=2, learning_rate=3e-3, validate_every=50),
        SONG_SETS["live"],
        objective=PhaseSensitiveObjective,
        channels=(6, 12, 16, 24, 32),
        dropout=0.0,
        momentum=0.1,
        power=0.3,
    ),
    "live-gpu": _sharing(
        2.9,
        TrainConfig(steps=600, batch_size=16),
        SONG_SETS["live"],
        objective=PhaseSensitiveObjective,
        momentum=0.1,
        power=0.3,
    ),
    "zoo": _sharing(
        1.45,
        TrainConfig(steps=5000, batch_size=6, learning_rate=2e-3, validate_every=1000),
        SONG_SETS["zoo"],
        objective=PhaseSensitiveObjective,
        channels=(8, 16, 24, 32, 48, 64),
        dropout=0.1,
        momentum=0.1,
        power=0.3,
    ),
    # The published size, transform, loss and learning rate, on 512 frames at a time; its masks
    # do not meet before they are used.
    "paper": mask_net(
        spleeter_nets,
        11.86,
        TrainConfig(
            steps=1_500_000,
            batch_size=4,
            learning_rate=1e-4,
            validate_every=2000,
            save_every=2000,
        ),
        SONG_SETS["zoo"],
        STFT(4096, 1024),
        sample_rate=44100,
        separator=ratio_masks,
        n_channels=2,
    ),
}
"""Scale → recipe."""
