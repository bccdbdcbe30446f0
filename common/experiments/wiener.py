"""What does the multichannel Wiener filter gain, and how long should its blocks be?

The Open-Unmix checkpoint of the book: with 0, 1 and 2 iterations, in blocks of three lengths; and
with masks that share the power of each bin and use no positions. Then the same with true magnitudes
in place of the net's. `python -m common.experiments.wiener` rewrites book/results/wiener.json row
by row; a new checkpoint discards the rows.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from common import SOURCES
from common.data.embedded import SONG_SETS, embedded_tracks
from common.data.real_music import real_excerpt
from common.data.tracks import Track
from common.experiments.open_unmix import scores
from common.experiments.resumable import RESULTS, run_rows
from common.experiments.trial import facts
from common.models.spleeter import RatioMasks
from common.recipes.checkpoints import CHECKPOINTS, load
from common.recipes.recipe import BENCH_STFT
from common.separation.any_length import separate
from common.separation.separators import MaskSeparator, WienerSeparator
from common.signal.masks import apply_mask, wiener_mask
from common.signal.wiener import wiener_filter


@dataclass(frozen=True)
class TrueMagnitudes:
    """A perfect magnitude estimate: true magnitudes, the mixture's phase, and the filter."""

    n_iter: int | str
    n_frames: int
    sources: tuple[str, ...] = SOURCES
    oracle: ClassVar[bool] = True

    def estimate(self, track: Track) -> Tensor:
        """Stems (s, c, t)."""
        magnitudes, mixture = BENCH_STFT(track.sources).abs(), BENCH_STFT(track.mixture)
        if self.n_iter == SHARED:
            stems = apply_mask(wiener_mask(magnitudes), mixture)
        else:
            stems = wiener_filter(magnitudes, mixture, self.n_iter, self.n_frames)
        return BENCH_STFT.inverse(stems, track.n_samples)


SHARED = "shared"
ROWS = [(0, 300), (SHARED, 300), (1, 75), (1, 300), (1, 1200), (2, 300)]
"""Number of iterations, and frames per block."""


def separator(magnitudes: str, n_iter: int | str, n_frames: int) -> MaskSeparator | TrueMagnitudes:
    """What one row measures."""
    if magnitudes == "true":
        return TrueMagnitudes(n_iter, n_frames)
    made = load("open-unmix")
    # A segment holds the longest block, so that no block is cut.
    longest = max(n for _, n in ROWS) * BENCH_STFT.hop_length / made.sample_rate
    if n_iter == SHARED:
        return MaskSeparator(
            RatioMasks(made.net, BENCH_STFT.n_bins), made.stft, segment=longest
        ).eval()
    settings = {"n_iter": n_iter, "n_frames": n_frames, "segment": longest}
    return WienerSeparator(made.net, made.stft, **settings).eval()


def seconds_per_second(model: object, track: Track) -> float:
    """Processor time in seconds for one second of music, on one core."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    begin = time.process_time()
    if isinstance(model, TrueMagnitudes):
        model.estimate(track)
    else:
        separate(model, track.mixture, track.sample_rate)
    torch.set_num_threads(threads)
    return (time.process_time() - begin) / track.duration


def measure(key: dict) -> dict:
    """SDR, bleeding and cost of one row."""
    model = separator(**key)
    track = embedded_tracks("test", limit=1, songs=SONG_SETS["live"])[0]
    return scores(model) | {"cost": round(seconds_per_second(model, track), 4)}


def weights_hash() -> str:
    """Hash of the checkpoint with which the rows were measured."""
    weights = (CHECKPOINTS / "open-unmix.safetensors").read_bytes()
    return hashlib.sha256(weights).hexdigest()[:16]


KEYS = [
    {"magnitudes": magnitudes, "n_iter": n_iter, "n_frames": n_frames}
    for magnitudes in ("net", "true")
    for n_iter, n_frames in ROWS
    if magnitudes == "net" or n_frames == 300
]


def main() -> None:
    """Fill in the rows that are missing."""
    about = facts(weights=weights_hash(), excerpt=real_excerpt().name)
    run_rows(RESULTS / "wiener.json", about, KEYS, measure)


if __name__ == "__main__":
    main()
