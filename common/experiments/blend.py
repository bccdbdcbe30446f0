"""How much should each model count in a blend, source by source?

A blend's error is the weighted mean of its parts' errors, since weights add up to 1. For each song
and source, one matrix is therefore enough to compute the error of any blend of `p` models: the
inner products of their errors (p, p), divided by the energy of the true stem, so that all songs
count equally. With G, the sum of these matrices over the songs, the error of weights w is wᵀGw; the
best weights w ≥ 0 that add up to 1 come from non-negative least squares (`best_weights`).

`python -m common.experiments.blend [A+B+C …] [--data ROOT] [--songs N]` separates the validation
songs with each model once and writes common/checkpoints/blend.json: the hash of each model's
weights file; for every model and every blend the median SDR over songs in dB, its bootstrap
interval, and its speed; for every blend its weights, the SDR of equal weights, and its gain over
the best of its parts, paired by song. A blend is evaluated on each song with weights that were
fitted to the other songs; those in the file are fitted to all.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import nnls
from torch import Tensor
from tqdm import tqdm

from common import SAMPLE_RATE, SOURCES
from common.data.embedded import SONG_SETS, embedded_songs
from common.data.musdb_folder import iterate_tracks
from common.data.tracks import Track
from common.evaluation.metrics import SILENCE
from common.evaluation.results import bootstrap_interval, compare, median
from common.recipes.checkpoints import BLENDS, best_model, card, load, weights_hash
from common.separation.any_length import separate
from common.separation.separators import Separator
from common.songs.dataset import GENERATOR_VERSION
from common.support.errors import UsageError
from common.support.files import check_place, write_json

CANDIDATES = ("d3net+open-unmix+spleeter",)
"""The blends that are fitted by default."""

SONGS = replace(SONG_SETS["zoo"], n_train=60)
"""The validation songs: every sixth of these."""


def error_products(separators: Sequence[Separator], track: Track) -> Tensor:
    """Inner products of the separators' errors on a track, relative to each stem's energy.

    → (s, p, p), float64, sources in the order of `SOURCES`; NaN where the stem is silent.
    """
    errors = []
    for separator in separators:
        estimates = separate(separator, track.mixture, track.sample_rate)
        order = [separator.sources.index(source) for source in SOURCES]
        true = torch.stack([track[source] for source in SOURCES])
        errors.append((estimates[order] - true).double().flatten(1))
    energy = true.double().square().flatten(1).sum(dim=1)
    audible = energy / true[0].numel() > SILENCE
    products = torch.einsum("pst,qst->spq", torch.stack(errors), torch.stack(errors))
    return torch.where(audible[:, None, None], products / energy[:, None, None], torch.nan)


def best_weights(products: np.ndarray) -> np.ndarray:
    """The weights w ≥ 0 with sum 1 that minimise wᵀGw: G (p, p) → (p,).

    With G = AᵀA, non-negative least squares find the v that minimises ‖Av‖² + (1 - Σv)². Weights
    of any fixed sum have the same best proportions, so w is v / Σv. Lawson and Hanson 1974.
    """
    values, vectors = np.linalg.eigh(products / np.trace(products))
    root = np.sqrt(values.clip(min=0))[:, None] * vectors.T
    found, _ = nnls(np.vstack([root, np.ones(len(root))]), np.append(np.zeros(len(root)), 1.0))
    return found / found.sum()


def fitted_weights(products: np.ndarray) -> np.ndarray:
    """`best_weights` of every source over all songs: (n, s, p, p), NaN where silent → (p, s)."""
    return np.stack([best_weights(total) for total in np.nansum(products, axis=0)], axis=1)


def song_sdr(products: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """SDR in dB of a blend on every song: products (n, s, p, p), weights (p, s) → (n, s)."""
    error = np.einsum("ps,nspq,qs->ns", weights, products, weights)
    return -10 * np.log10(error)


def held_out_sdr(products: np.ndarray) -> np.ndarray:
    """SDR in dB of the blend on every song, by weights that were fitted to the others: → (n, s)."""
    rows = []
    for song in range(len(products)):
        weights = fitted_weights(np.delete(products, song, axis=0))
        rows.append(song_sdr(products[song : song + 1], weights))
    return np.concatenate(rows)


def results(name: str, songs: Sequence[str], ratios: np.ndarray) -> dict:
    """SDR of every song and source (n, s) as `evaluate` reports it."""
    tracks = [
        {"name": song, "sdr": by_source([None if x != x else round(x, 4) for x in row.tolist()])}
        for song, row in zip(songs, ratios, strict=True)
    ]
    return {"model": name, "sources": list(SOURCES), "tracks": tracks}


def by_source(values: Sequence[object]) -> dict[str, object]:
    """Values (s,) by their source's name."""
    return dict(zip(SOURCES, values, strict=True))


def summary(found: dict) -> dict[str, dict]:
    """Median over songs in dB of what `results` gives, and its bootstrap interval."""
    columns = [[track["sdr"][source] for track in found["tracks"]] for source in SOURCES]
    return {
        "sdr": by_source([median(column) for column in columns]),
        "interval": by_source([bootstrap_interval(column) for column in columns]),
    }


def measure_blend(
    names: Sequence[str], songs: Sequence[str], products: np.ndarray, speeds: dict
) -> dict:
    """Evaluate a blend: weights, SDR with them and with equal ones, gain over the best part, speed.

    products: (n, s, p, p) of the models in `names`; speeds: name → real-time factor. The parts run
    one after the other, so a blend's time is the sum of theirs.
    """
    weights = fitted_weights(products)
    blend = results("+".join(names), songs, held_out_sdr(products))
    equal = np.full(weights.shape, 1 / len(names))
    alone = {
        name: results(name, songs, song_sdr(products, np.eye(len(names))[:, [k] * len(SOURCES)]))
        for k, name in enumerate(names)
    }
    best = max(alone.values(), key=mean_of_medians)
    return {
        "weights": {
            name: by_source(row) for name, row in zip(names, weights.tolist(), strict=True)
        },
        **summary(blend),
        "equal_weights": summary(results("equal", songs, song_sdr(products, equal))),
        "best_part": best["model"],
        "gain": compare(blend, best),
        "real_time_factor": round(1 / sum(1 / speeds[name] for name in names), 1),
    }


def mean_of_medians(found: dict) -> float:
    """The median SDR of `results`, averaged over sources."""
    return float(np.mean(list(summary(found)["sdr"].values())))


def measure(blends: Sequence[str], tracks: Iterable[Track]) -> dict:
    """The content of `BLENDS` except the names of the songs. Raises UsageError as `load` does."""
    for blend in blends:
        load(blend)  # reports wrong names before the long work
    names = sorted({name for blend in blends for name in blend.split("+")})
    separators, songs, found = [load(name) for name in names], [], []
    for track in tqdm(tracks, "validation songs", unit="song"):
        songs.append(track.name)
        found.append(error_products(separators, track))
    if len(songs) < 2:
        raise UsageError(f"a blend is fitted to two or more songs, not {len(songs)}")
    products = torch.stack(found).numpy()
    speeds = {name: card(name)["real_time_factor"] for name in names}
    models, evaluated = {}, {}
    for k, name in enumerate(names):
        ratios = -10 * np.log10(products[:, :, k, k])
        models[name] = summary(results(name, songs, ratios)) | {"real_time_factor": speeds[name]}
    for blend in blends:
        parts = blend.split("+")
        index = [names.index(part) for part in parts]
        chosen = products[:, :, index][..., index]
        evaluated[blend] = measure_blend(parts, songs, chosen, speeds)
    return {
        "n_songs": len(songs),
        "weights_sha256": {name: weights_hash(name) for name in names},
        "models": models,
        "blends": evaluated,
    }


def main() -> None:
    """Fit, evaluate, write and print."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("blends", nargs="*", default=CANDIDATES, metavar="A+B+C")
    arguments.add_argument("--data", type=Path, help="folder in MUSDB18 layout (embedded songs)")
    arguments.add_argument("--songs", type=int, metavar="N", help="only the first N (all)")
    arguments.add_argument("--out", type=Path, default=BLENDS)
    given = arguments.parse_args()
    check_place(given.out)
    root = given.data or embedded_songs(SONGS, n_test=0)
    found = measure(given.blends, iterate_tracks(root, "valid", SAMPLE_RATE, limit=given.songs))
    about = {
        "songs": f"validation songs of {root.name}",
        "generator_version": GENERATOR_VERSION,
        "hardware": platform.machine(),
    }
    write_json(given.out, about | found)
    print(json.dumps(found["models"] | found["blends"], indent=1))
    print(f"best at 4 x real time: {best_model(found['models'] | found['blends'])}")


if __name__ == "__main__":
    main()
