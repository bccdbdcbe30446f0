"""The recipes of deep clustering and Chimera, chapters 12 and 13."""

from __future__ import annotations

from common.data.excerpts import Excerpts
from common.models.chimera import Chimera, EmbeddingBranch, MaskBranch
from common.models.deep_clustering import DeepClustering
from common.recipes.recipe import Recipe, family
from common.separation.clustering import ClusteringSeparator, store_centroids
from common.separation.separators import MaskSeparator
from common.signal.stft import STFT
from common.training.objectives import (
    ChimeraObjective,
    ClusteringObjective,
)


def mask_branch(net: Chimera, **settings: object) -> MaskSeparator:
    """Separate with the masks of a Chimera; its embeddings are used in training only."""
    return MaskSeparator(MaskBranch(net), **settings)


def store_chimera_centroids(net: Chimera, excerpts: Excerpts, stft: STFT) -> None:
    """Write `class_centroids` into a trained Chimera's `centroids`."""
    store_centroids(EmbeddingBranch(net), excerpts, stft)


# The nets of both chapters in their sizes; the paper's is that of Wang et al. 2018.
_OWN: dict[str, dict[str, object]] = {
    "smoke": {"hidden_size": 8},
    "live": {"hidden_size": 32, "n_layers": 1},
    "live-gpu": {"hidden_size": 300, "n_layers": 4, "n_dimensions": 20},
    "zoo": {"config": {"steps": 5000}, "dropout": 0.1},
    "paper": {
        "seconds": 5.0,
        "config": {"batch_size": 32},
        "n_bins": 2049,
        "hidden_size": 600,
        "n_layers": 4,
        "n_dimensions": 20,
    },
}


DEEP_CLUSTERING: dict[str, Recipe] = family(
    {
        "net": DeepClustering,
        "objective": ClusteringObjective,
        "separator": ClusteringSeparator,
        "finish": store_centroids,
    },
    _OWN | {"live": {"config": {"steps": 150}, **_OWN["live"]}},
)
"""Scale → recipe."""


CHIMERA: dict[str, Recipe] = family(
    {
        "net": Chimera,
        "objective": ChimeraObjective,
        "separator": mask_branch,
        "finish": store_chimera_centroids,
    },
    _OWN | {"live": {"config": {"steps": 120}, **_OWN["live"]}},
)
"""Scale → recipe."""
