"""Rooms that never stood: impulse responses from noise, and the reverb that they give.

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
    """An impulse response (2, t) at half the sample rate: above 11 kHz no room rings for long."""

    response: np.ndarray


def build(
    sample_rate: int, decay: float, brightness: float, predelay: float, rng: np.random.Generator
) -> Room:
    """A made-up room: some early reflections, then noise that decays, treble first.

    decay is the time to -60 dB in seconds, brightness the share of it that treble keeps.
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
    """The sound of a room alone, without the dry sound: mono (t,) → (2, t)."""
    half = soxr.resample(mono, 2, 1, "MQ")
    n_fft = fft.next_fast_len(len(half) + room.response.shape[1], real=True)
    wet = fft.irfft(fft.rfft(half, n_fft) * fft.rfft(room.response, n_fft), n_fft)[:, : len(half)]
    return fit_length(soxr.resample(wet.T, 1, 2, "MQ").T, len(mono))
