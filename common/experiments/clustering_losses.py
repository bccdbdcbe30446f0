"""Which loss trains a better clustering net: affinity or whitened k-means?

One small net, one number of steps, both losses, three seeds.
`python -m common.experiments.clustering_losses` rewrites book/results/clustering_losses.json row by
row; an interrupted run continues.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from common.data.embedded import SONG_SETS, embedded_tracks
from common.data.excerpts import Excerpts
from common.data.tracks import Track
from common.evaluation.metrics import sdr
from common.experiments.resumable import RESULTS, run_rows
from common.experiments.trial import facts, trial
from common.models.deep_clustering import DeepClustering
from common.recipes.recipe import BENCH_STFT
from common.separation.clustering import (
    N_POINTS,
    cluster_masks,
    loud_points,
    store_centroids,
)
from common.signal.k_means import k_means
from common.signal.masks import apply_mask
from common.training.config import TrainConfig
from common.training.losses import affinity_loss, whitened_kmeans_loss
from common.training.objectives import ClusteringObjective

LOSSES = {"affinity": affinity_loss, "whitened k-means": whitened_kmeans_loss}
HARDNESSES = (1.0, 2.0, 4.0, 8.0)
PULLS = {"k-means": 0.0, "tied": 0.5}
SEEDS = [0, 1, 2]

CONFIG = TrainConfig(steps=150, batch_size=4, learning_rate=3e-3)
SECONDS = 1.0


@functools.cache
def tracks(split: str) -> list[Track]:
    """The songs of a split: whole songs for training, six seconds of each for evaluation."""
    songs = embedded_tracks(split, songs=SONG_SETS["live"])
    return songs if split == "train" else [x.excerpt(x.duration / 3, 6.0) for x in songs]


@torch.no_grad()
def mean_sdrs(net: DeepClustering, songs: list[Track]) -> dict[str, list[float]]:
    """Mean SDR in dB over songs and sources, for each pull a list over hardnesses."""
    found: dict[str, list[list[Tensor]]] = {name: [] for name in PULLS}
    for track in songs:
        spectrum = BENCH_STFT(track.mixture)[None]
        embeddings = net(spectrum.abs())
        loud = loud_points(embeddings, spectrum.abs(), N_POINTS)
        for name, pull in PULLS.items():
            centroids = k_means(*loud, net.centroids, pull=pull)
            row = []
            for hardness in HARDNESSES:
                masked = apply_mask(cluster_masks(embeddings, centroids, hardness), spectrum)[0]
                row.append(sdr(track.sources, BENCH_STFT.inverse(masked, track.n_samples)))
            found[name].append(torch.stack(row))
    return {
        name: [round(x, 4) for x in torch.stack(rows).nanmean(dim=(0, 2)).tolist()]
        for name, rows in found.items()
    }


def measure(key: dict) -> dict:
    """Train with one loss from one seed; mean SDR in dB, "valid" to choose by, "test" to report."""
    excerpts = Excerpts(tracks("train"), SECONDS, key["seed"], n_channels=1)
    objective = ClusteringObjective(BENCH_STFT, LOSSES[key["loss"]])
    make = functools.partial(DeepClustering, hidden_size=32, n_layers=1)
    done = trial(make, objective, excerpts, CONFIG, key["seed"])
    store_centroids(done.net, excerpts, BENCH_STFT)
    found = {split: mean_sdrs(done.net, tracks(split)) for split in ("valid", "test")}
    return {"sdr": found, "seconds": round(done.core_seconds)}


def main() -> None:
    """Fill in the rows that are missing."""
    about = facts(
        steps=CONFIG.steps,
        batch_size=CONFIG.batch_size,
        seconds_per_excerpt=SECONDS,
        net="DeepClustering(hidden_size=32, n_layers=1)",
        hardnesses=HARDNESSES,
        pulls=PULLS,
    )
    keys = [{"loss": loss, "seed": seed} for seed in SEEDS for loss in LOSSES]
    run_rows(RESULTS / "clustering_losses.json", about, keys, measure)


if __name__ == "__main__":
    main()
