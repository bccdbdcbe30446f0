"""Find a recording inside another by its spectral peaks, despite gain, MP3 and cuts. Wang 2003."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from common.signal.stft import STFT

FINGERPRINT_STFT = STFT()
"""The transform whose peaks are used, in its lowest `N_BINS` bins."""

N_BINS = 512

NEIGHBOURHOOD = (21, 15)
"""A peak is the largest value in a neighbourhood of so many bins and frames."""

FAN_OUT, FARTHEST = 5, 63
"""Each peak is paired with so many later ones, at most so many frames later."""


class Landmarks(NamedTuple):
    """Pairs of peaks: the key of each pair and the frame of its first peak, both (m,)."""

    keys: Tensor
    frames: Tensor


def spectral_peaks(magnitude: Tensor, per_frame: float = 0.5) -> Tensor:
    """The strongest local maxima of a spectrogram (f, n), by time: (p, 2).

    Each row is a frame and a bin; at most `per_frame` peaks a frame are kept.
    """
    height, width = NEIGHBOURHOOD  # first along one axis, then the other
    tall, wide = (height, 1), (1, width)
    highest = functional.max_pool2d(magnitude[None], tall, 1, (height // 2, 0))
    highest = functional.max_pool2d(highest, wide, 1, (0, width // 2))
    is_peak = (magnitude == highest[0]) & (magnitude > 0)
    bins, frames = is_peak.nonzero().T
    n_kept = min(round(per_frame * magnitude.shape[-1]), len(bins))
    kept = magnitude[bins, frames].topk(n_kept).indices
    peaks = torch.stack([frames[kept], bins[kept]], dim=1)
    return peaks[peaks[:, 0].argsort(stable=True)]


def landmarks(audio: Tensor) -> Landmarks:
    """Fingerprint of audio (c, t): each peak paired with a few later ones.

    A key encodes both bins and their distance in frames, but no level. Wang 2003.
    """
    magnitude = FINGERPRINT_STFT(audio.mean(dim=0)).abs()[:N_BINS]
    peaks = spectral_peaks(magnitude)
    keys, starts = [], []
    for later in range(1, FAN_OUT + 1):
        first, second = peaks[:-later], peaks[later:]
        apart = second[:, 0] - first[:, 0]
        near = (apart > 0) & (apart <= FARTHEST)
        key = (first[:, 1] * N_BINS + second[:, 1]) * (FARTHEST + 1) + apart
        keys.append(key[near])
        starts.append(first[near, 0])
    return Landmarks(torch.cat(keys), torch.cat(starts))


def match(one: Landmarks, other: Landmarks) -> tuple[float, int]:
    """How much of one recording is contained in another: (share, shift).

    share: the share of the pairs of `one` that `other` contains at the most
    frequent shift, 0 to 1; shift: the frame of `other` at which `one` begins.
    """
    keys, order = other.keys.sort()
    first = torch.searchsorted(keys, one.keys)
    n_same = torch.searchsorted(keys, one.keys, right=True) - first
    mine = torch.arange(len(one.keys)).repeat_interleave(n_same)
    if not len(mine):
        return 0.0, 0
    run = torch.arange(len(mine)) - (n_same.cumsum(0) - n_same)[mine]
    theirs = order[first[mine] + run]
    shifts = other.frames[theirs] - one.frames[mine]
    values, counts = shifts.unique(return_counts=True)
    best = counts.argmax()
    return float(counts[best] / len(one.keys)), int(values[best])
