"""The recipes of the nets that learn masks: chapters 11 to 17."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import nn

from common import SOURCES
from common.clustering import ClusteringSeparator, store_centroids
from common.data import SONG_SETS, Excerpts
from common.losses import ChimeraObjective, ClusteringObjective, PhaseSensitiveObjective
from common.models.chimera import Chimera, EmbeddingBranch, MaskBranch
from common.models.deep_clustering import DeepClustering
from common.models.mask_inference import MaskInference
from common.models.open_unmix import OpenUnmix, scale_input
from common.models.unet import Patchwise, PerSource, UNet
from common.recipes.dense import D3NET
from common.recipes.recipe import Recipe, mask_net
from common.recipes.spleeter import SPLEETER
from common.separation import MaskSeparator, WienerSeparator
from common.stft import STFT
from common.training import TrainConfig


def per_source(net: Callable[..., nn.Module], **size: object) -> PerSource:
    """One net of its own for each of the four sources."""
    return PerSource({source: net(**size) for source in SOURCES})


def mask_branch(net: Chimera, **settings: object) -> MaskSeparator:
    """Separate with the masks of a Chimera; its places have done their work in training."""
    return MaskSeparator(MaskBranch(net), **settings)


def patchwise_separator(net: UNet, n_frames: int, margin: int, **settings: object) -> MaskSeparator:
    """Separate patch by patch, in the length that the net has learnt from."""
    return MaskSeparator(Patchwise(net, n_frames, margin), **settings)


def store_places(net: Chimera, excerpts: Excerpts, stft: STFT) -> None:
    """Fill in a trained Chimera's `centroids`."""
    store_centroids(EmbeddingBranch(net), excerpts, stft)


_mask_inference = partial(mask_net, MaskInference)
_clustering = partial(
    mask_net,
    DeepClustering,
    objective=ClusteringObjective,
    separator=ClusteringSeparator,
    finish=store_centroids,
)
_chimera = partial(
    mask_net, Chimera, objective=ChimeraObjective, separator=mask_branch, finish=store_places
)
_unet = partial(mask_net, UNet)
_open_unmix = partial(
    mask_net,
    partial(per_source, OpenUnmix),
    objective=PhaseSensitiveObjective,
    separator=WienerSeparator,
    prepare=scale_input,
    n_channels=2,
)

_CLUSTERS_ON_GPU = {"hidden_size": 300, "n_layers": 4, "n_dimensions": 20}
# The size of Wang et al. 2018, at the rate of MUSDB18.
_PUBLISHED_CLUSTERS = {
    "stft": STFT(4096, 1024),
    "sample_rate": 44100,
    "n_bins": 2049,
    "hidden_size": 600,
    "n_layers": 4,
    "n_dimensions": 20,
}

MASKING: dict[str, dict[str, Recipe]] = {
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
    "deep-clustering": {
        "smoke": _clustering(
            1.0, TrainConfig(steps=8, batch_size=2), SONG_SETS["smoke"], hidden_size=8
        ),
        "live": _clustering(
            1.0,
            TrainConfig(steps=200, batch_size=4, learning_rate=3e-3),
            SONG_SETS["live"],
            hidden_size=32,
            n_layers=1,
        ),
        "live-gpu": _clustering(
            3.0,
            TrainConfig(steps=600, batch_size=16),
            SONG_SETS["live"],
            **_CLUSTERS_ON_GPU,
        ),
        "zoo": _clustering(
            2.0,
            TrainConfig(steps=5000, batch_size=8, learning_rate=2e-3, validate_every=1000),
            SONG_SETS["zoo"],
            dropout=0.1,
        ),
        "paper": _clustering(
            5.0,
            TrainConfig(steps=200_000, batch_size=32, validate_every=2000, save_every=2000),
            SONG_SETS["zoo"],
            **_PUBLISHED_CLUSTERS,
        ),
    },
    "chimera": {
        "smoke": _chimera(
            1.0, TrainConfig(steps=8, batch_size=2), SONG_SETS["smoke"], hidden_size=8
        ),
        "live": _chimera(
            1.0,
            TrainConfig(steps=300, batch_size=4, learning_rate=3e-3),
            SONG_SETS["live"],
            hidden_size=32,
            n_layers=1,
        ),
        "live-gpu": _chimera(
            3.0,
            TrainConfig(steps=600, batch_size=16),
            SONG_SETS["live"],
            **_CLUSTERS_ON_GPU,
        ),
        "zoo": _chimera(
            2.0,
            TrainConfig(steps=5000, batch_size=8, learning_rate=2e-3, validate_every=1000),
            SONG_SETS["zoo"],
            dropout=0.1,
        ),
        "paper": _chimera(
            5.0,
            TrainConfig(steps=200_000, batch_size=32, validate_every=2000, save_every=2000),
            SONG_SETS["zoo"],
            **_PUBLISHED_CLUSTERS,
        ),
    },
    "unet": {
        "smoke": _unet(
            1.0, TrainConfig(steps=8, batch_size=2), SONG_SETS["smoke"], channels=(4, 8, 8)
        ),
        # 0.7 s are 32 frames, which five levels divide: nothing of a step is spent on padding.
        "live": _unet(
            0.7,
            TrainConfig(steps=300, batch_size=4, learning_rate=3e-3),
            SONG_SETS["live"],
            objective=PhaseSensitiveObjective,
            channels=(8, 16, 32, 64, 64),
            dropout=0.0,
            power=0.3,
        ),
        "live-gpu": _unet(
            2.94,
            TrainConfig(steps=600, batch_size=16),
            SONG_SETS["live"],
            objective=PhaseSensitiveObjective,
            power=0.3,
        ),
        # 1.46 s are 64 frames, which six levels divide.
        "zoo": _unet(
            1.46,
            TrainConfig(steps=12_000, batch_size=8, learning_rate=2e-3, validate_every=1000),
            SONG_SETS["zoo"],
            objective=PhaseSensitiveObjective,
            separator=partial(patchwise_separator, n_frames=64, margin=12),
            channels=(8, 16, 32, 64, 128, 128),
            dropout=0.1,
            power=0.3,
        ),
        # Jansson's transform and training loss; one net for the four sources of MUSDB18.
        "paper": _unet(
            11.9,
            TrainConfig(steps=200_000, batch_size=16, validate_every=2000, save_every=2000),
            SONG_SETS["zoo"],
            STFT(1024, 768),
            sample_rate=8192,
        ),
    },
    "spleeter": SPLEETER,
    "open-unmix": {
        "smoke": _open_unmix(
            1.0,
            TrainConfig(steps=8, batch_size=2),
            SONG_SETS["smoke"],
            n_bins=1025,
            max_bin=743,
            hidden_size=8,
            n_layers=1,
        ),
        "live": _open_unmix(
            1.0,
            TrainConfig(steps=200, batch_size=4, learning_rate=1e-2),
            SONG_SETS["live"],
            n_bins=1025,
            max_bin=743,
            hidden_size=24,
            n_layers=1,
        ),
        "live-gpu": _open_unmix(
            3.0,
            TrainConfig(steps=600, batch_size=16, learning_rate=3e-3),
            SONG_SETS["live"],
            n_bins=1025,
            max_bin=743,
            hidden_size=256,
        ),
        "zoo": _open_unmix(
            2.0,
            TrainConfig(steps=24_000, batch_size=4, learning_rate=3e-3, validate_every=2000),
            SONG_SETS["zoo"],
            n_bins=1025,
            max_bin=743,
            hidden_size=72,
            n_layers=2,
            dropout=0.1,
        ),
        # The published size and transform; umxhq trains each net to convergence instead.
        "paper": _open_unmix(
            6.0,
            TrainConfig(steps=200_000, batch_size=16, validate_every=2000, save_every=2000),
            SONG_SETS["zoo"],
            STFT(4096, 1024, pad_mode="reflect"),
            sample_rate=44100,
        ),
    },
    "d3net": D3NET,
}
"""Model name → scale → recipe."""
