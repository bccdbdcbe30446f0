"""The recipes of the nets that cluster: deep clustering and Chimera, chapters 12 and 13."""

from __future__ import annotations

from functools import partial

from common.data.embedded import SONG_SETS
from common.data.excerpts import Excerpts
from common.models.chimera import Chimera, EmbeddingBranch, MaskBranch
from common.models.deep_clustering import DeepClustering
from common.recipes.recipe import Recipe, mask_net
from common.separation.clustering import ClusteringSeparator, store_centroids
from common.separation.separators import MaskSeparator
from common.signal.stft import STFT
from common.training.config import TrainConfig
from common.training.objectives import (
    ChimeraObjective,
    ClusteringObjective,
)


def mask_branch(net: Chimera, **settings: object) -> MaskSeparator:
    """Separate with the masks of a Chimera; its places have done their work in training."""
    return MaskSeparator(MaskBranch(net), **settings)


def store_places(net: Chimera, excerpts: Excerpts, stft: STFT) -> None:
    """Fill in a trained Chimera's `centroids`."""
    store_centroids(EmbeddingBranch(net), excerpts, stft)


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


DEEP_CLUSTERING: dict[str, Recipe] = {
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
}
"""Scale → recipe."""


CHIMERA: dict[str, Recipe] = {
    "smoke": _chimera(1.0, TrainConfig(steps=8, batch_size=2), SONG_SETS["smoke"], hidden_size=8),
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
}
"""Scale → recipe."""
