"""Does the clustering head regularise? One Chimera, six weights between its losses, three seeds.

Each weight is tried on few songs, on which the net overfits, and on ten times as many; there
also the other clustering loss, at one weight. `python -m common.experiments.chimera`
rewrites book/results/chimera.json row by row; an interrupted run continues.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable

from torch import Tensor

from common import SOURCES
from common.data.embedded import SONG_SETS, embedded_tracks
from common.data.excerpts import NO_AUGMENT, Excerpts
from common.data.tracks import Track
from common.experiments.resumable import RESULTS, run_rows, track_sdr
from common.experiments.trial import facts, trial
from common.models.chimera import Chimera, EmbeddingBranch, MaskBranch
from common.separation.clustering import ClusteringSeparator, store_centroids
from common.separation.separators import MaskSeparator, Separator
from common.signal.stft import STFT
from common.training.config import TrainConfig
from common.training.losses import affinity_loss, whitened_kmeans_loss
from common.training.objectives import ChimeraObjective

SONGS = {"few": 2, "many": 20}
"""How many training songs, all of the "live" set."""

LOSSES = {"affinity": affinity_loss, "whitened": whitened_kmeans_loss}
WEIGHTS = (0.0, 0.5, 0.75, 0.9, 0.975, 1.0)
"""The weight of the affinity loss. At 0 its head is not trained, at 1 the mask head is not."""

WHITENED = 0.4
"""The one weight of the whitened loss: both gradients of the body have about the same norm."""

SEEDS = (0, 1, 2)
TRANSFORM = STFT(n_fft=2048, hop_length=1024)
"""The book's window at twice its hop, to save time in 36 trainings."""

CONFIG = TrainConfig(steps=250, batch_size=4, learning_rate=3e-3)
SECONDS = 1.0
EVALUATED = 8.0
"""How many seconds from the middle of a song are separated."""


@functools.cache
def middles(split: str, limit: int | None = None) -> list[Track]:
    """The middle of each song of a split, on which the nets are evaluated."""
    tracks = embedded_tracks(split, limit=limit, songs=SONG_SETS["live"])
    return [track.excerpt((track.duration - EVALUATED) / 2, EVALUATED) for track in tracks]


@functools.cache
def training_songs(count: int) -> list[Track]:
    """The first `count` training songs, so "few" is a subset of "many"."""
    return embedded_tracks("train", limit=count, songs=SONG_SETS["live"])


def heads(net: Chimera) -> dict[str, Separator]:
    """The two separators inside a trained Chimera."""
    return {
        "masks": MaskSeparator(MaskBranch(net), TRANSFORM).eval(),
        "embeddings": ClusteringSeparator(EmbeddingBranch(net), TRANSFORM).eval(),
    }


def song_and_stem_sdr(separator: Separator, tracks: list[Track]) -> dict[str, object]:
    """SDR in dB: of each track, averaged over its stems; of each stem, averaged over tracks."""
    ratios = track_sdr(separator, tracks)
    stems = zip(SOURCES, ratios.nanmean(dim=0).tolist(), strict=True)
    return {
        "songs": [round(x, 3) for x in ratios.nanmean(dim=1).tolist()],
        "stems": {source: round(x, 3) for source, x in stems},
    }


def trained(
    tracks: list[Track],
    weight: float,
    seed: int,
    config: TrainConfig = CONFIG,
    loss: Callable[[Tensor, Tensor, Tensor], Tensor] = affinity_loss,
) -> Chimera:
    """A small Chimera, trained on these songs at one weight, with its centroids."""
    objective = ChimeraObjective(TRANSFORM, weight, loss)
    excerpts = Excerpts(tracks, SECONDS, seed, NO_AUGMENT, n_channels=1)
    make = functools.partial(Chimera, hidden_size=32, n_layers=1, dropout=0.0)
    net = trial(make, objective, excerpts, config, seed).net
    store_centroids(EmbeddingBranch(net), excerpts, TRANSFORM)
    return net


def measure(key: dict) -> dict:
    """Train at one weight from one seed; SDR of both heads in dB on songs of each kind.

    "valid" is for choosing, "test" only for reporting. "train" are the few songs in both cases.
    """
    begin = time.process_time()
    tracks = training_songs(SONGS[key["songs"]])
    net = trained(tracks, key["weight"], key["seed"], loss=LOSSES[key["loss"]])
    evaluated = {
        "train": middles("train", SONGS["few"]),
        "valid": middles("valid"),
        "test": middles("test"),
    }
    found = {
        head: {name: song_and_stem_sdr(separator, tracks) for name, tracks in evaluated.items()}
        for head, separator in heads(net).items()
    }
    return {"sdr": found, "core_seconds": round(time.process_time() - begin)}


def main() -> None:
    """Fill in the rows that are missing."""
    about = facts(
        songs=SONGS,
        steps=CONFIG.steps,
        batch_size=CONFIG.batch_size,
        learning_rate=CONFIG.learning_rate,
        seconds_per_excerpt=SECONDS,
        seconds_judged=EVALUATED,
        net="Chimera(hidden_size=32, n_layers=1, dropout=0), 8 dimensions",
        masks="phase-sensitive error",
    )
    runs = [(songs, "affinity", weight) for songs in SONGS for weight in WEIGHTS]
    runs.append(("many", "whitened", WHITENED))
    keys = [
        {"songs": songs, "loss": loss, "weight": weight, "seed": seed}
        for seed in SEEDS
        for songs, loss, weight in runs
    ]
    run_rows(RESULTS / "chimera.json", about, keys, measure)


if __name__ == "__main__":
    main()
