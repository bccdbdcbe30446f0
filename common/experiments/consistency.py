"""How does the SDR change when stems are made to add up to the mixture?

The stems of every committed checkpoint unchanged, with the residual (the mixture minus all stems)
shared equally, and with the residual shared by power. The checkpoints were trained on songs from
another seed; the songs here are no test songs either.
`python -m common.experiments.consistency` rewrites book/results/consistency.json row by row; a new
checkpoint discards the rows.
"""

from __future__ import annotations

import hashlib
import platform
import statistics

import torch
from torch import Tensor

from common.data.embedded import SONG_SETS, embedded_tracks
from common.evaluation.metrics import sdr
from common.experiments.resumable import RESULTS, run_rows
from common.recipes.checkpoints import CHECKPOINTS, load, trained_models
from common.recipes.recipe import BENCH_STFT
from common.separation.any_length import separate
from common.separation.consistency import share_equally
from common.signal.masks import EPSILON
from common.songs.dataset import GENERATOR_VERSION

N_SONGS = 10


def share_by_power(stems: Tensor, mixture: Tensor) -> Tensor:
    """Add to every stem its share of the residual, the mixture minus all stems.

    stems: (b, s, c, t), mixture: (b, c, t) → (b, s, c, t). A stem's share of a bin is that of the
    stems' power in the bin. Wisdom et al. 2019 use such weights too, but one for each whole stem.
    """
    power = BENCH_STFT(stems).abs().square() + EPSILON
    shares = power / power.sum(dim=1, keepdim=True)
    lacking = BENCH_STFT(mixture - stems.sum(dim=1))
    return stems + BENCH_STFT.inverse(shares * lacking[:, None], mixture.shape[-1])


WAYS = {
    "as they are": lambda stems, mixture: stems,
    "equally": share_equally,
    "by power": share_by_power,
}
"""Name → function of stems (b, s, c, t) and mixture (b, c, t)."""


def about() -> dict:
    """The facts that hold for all rows."""
    weights = {name: CHECKPOINTS / f"{name}.safetensors" for name in trained_models()}
    return {
        "generator_version": GENERATOR_VERSION,
        "songs": f"the first {N_SONGS} training songs of the live set",
        "hardware": platform.machine(),
        "weights": {
            name: hashlib.sha256(path.read_bytes()).hexdigest()[:16]
            for name, path in weights.items()
        },
    }


def measure(key: dict) -> dict:
    """One checkpoint with every method: SDR of each stem in dB, mean over songs; the residual.

    lacking_db: the energy of the residual relative to the mixture's, in the song where it is
    highest.
    """
    separator = load(key["model"])
    ratios, levels = {way: [] for way in WAYS}, {way: [] for way in WAYS}
    for track in embedded_tracks("train", limit=N_SONGS, songs=SONG_SETS["live"]):
        estimates = separate(separator, track.mixture, track.sample_rate)
        for way, share in WAYS.items():
            stems = share(estimates[None], track.mixture[None])[0]
            ratios[way].append(sdr(track.sources, stems))
            levels[way].append(lacking_level(stems, track.mixture))
    means = {way: torch.stack(rows).nanmean(dim=0).tolist() for way, rows in ratios.items()}
    return {
        "sdr": {
            way: dict(zip(separator.sources, [round(x, 4) for x in values], strict=True))
            for way, values in means.items()
        },
        "lacking_db": {way: round(max(values), 1) for way, values in levels.items()},
    }


def lacking_level(stems: Tensor, mixture: Tensor) -> float:
    """Level of the residual of stems (s, c, t) in dB relative to the mixture (c, t)."""
    lacking = mixture - stems.sum(dim=0)
    return float(10 * torch.log10(lacking.square().sum() / mixture.square().sum()))


def mean_over_stems(row: dict, way: str = "as they are") -> float:
    """A checkpoint's SDR in dB, the mean over its stems."""
    return statistics.mean(row["sdr"][way].values())


def main() -> None:
    """Fill in the rows that are missing."""
    keys = [{"model": name} for name in trained_models()]
    run_rows(RESULTS / "consistency.json", about(), keys, measure)


if __name__ == "__main__":
    main()
