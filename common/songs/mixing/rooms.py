"""Synthetic room impulse responses, and reverb by convolution with them.

Decaying noise as an impulse response: Moorer, "About this reverberation business", 1979.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import soxr
from scipy import fft, signal

from common.songs.mixing.effects import fit_length


@dataclass(frozen=True)
class Room:
    """An impulse response (2, t) at half the sample rate: rooms decay quickly above 11 kHz."""

    response: np.ndarray


def build(
    sample_rate: int, decay: float, brightness: float, predelay: float, rng: np.random.Generator
) -> Room:
    """Synthesise a room: early reflections, and a noise tail that decays faster in the treble.

    decay: time to -60 dB in seconds; brightness: factor on it in the treble; predelay in seconds.
    Unit energy per channel.
    """
    rate = sample_rate // 2
    length = int(rate * (decay * 1.1 + predelay))
    t = np.arange(length) / rate
    noise = rng.standard_normal((2, length))
    tail = np.zeros((2, length))
    edges = (180.0, 900.0, 4000.0, 0.45 * rate)
    for i, (low, high) in enumerate(pairwise(edges)):
        band = signal.butter(1, (low, high), "bandpass", fs=rate, output="sos")
        seconds = decay * brightness ** (i / 2)
        tail += signal.sosfilt(band, noise) * np.exp(-6.91 * t / seconds)
    start = int(predelay * rate)
    response = np.zeros((2, length))
    response[:, start:] = (tail * np.minimum(1, t / 0.02))[:, : length - start]
    response /= np.sqrt((response**2).sum(axis=1, keepdims=True))
    for _ in range(12):
        after = rng.uniform(0.002, 0.06)
        at, sign = start + int(rate * after), rng.choice((-1, 1))
        if at < length:
            response[rng.integers(2), at] += sign * 0.25 * np.exp(-after / 0.04)
    energy = (response**2).sum(axis=1, keepdims=True)
    return Room((response / np.sqrt(energy)).astype(np.float32))


def reverb(mono: np.ndarray, room: Room) -> np.ndarray:
    """Convolve with a room: mono (t,) → reverb without the dry sound (2, t)."""
    half = soxr.resample(mono, 2, 1, "MQ")
    n_fft = fft.next_fast_len(len(half) + room.response.shape[1], real=True)
    wet = fft.irfft(fft.rfft(half, n_fft) * fft.rfft(room.response, n_fft), n_fft)[:, : len(half)]
    return fit_length(soxr.resample(wet.T, 1, 2, "MQ").T, len(mono))
