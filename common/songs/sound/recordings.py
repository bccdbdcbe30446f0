"""Analysis of a recorded syllable: frames of the WORLD vocoder, and the bounds of its vowel."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from scipy.linalg import solve_toeplitz

from common.support.pyworld_compat import world

RATE = 44100
FRAME = 0.005
"""Seconds from one frame to the next."""

N_FFT = 2048
"""The size that WORLD uses for voices above 71 Hz at 44.1 kHz."""

BANDS = 100
APERIODIC = (3000.0, 6000.0, 9000.0, 12000.0, 15000.0)
"""Frequencies in Hz at which WORLD's D4C measures aperiodicity; it interpolates in between."""


def mel(frequencies: np.ndarray) -> np.ndarray:
    """Mels of frequencies in Hz (O'Shaughnessy 1987)."""
    return 1127.0 * np.log1p(np.asarray(frequencies) / 700.0)


POINTS = 700.0 * np.expm1(np.linspace(0.0, mel(RATE / 2), BANDS) / 1127.0)
"""Frequencies (k,) in Hz of the envelope's points, evenly spaced in mels."""


def _means() -> np.ndarray:
    """Weights (f, k) that average the bins around each point: triangles, each column's sum 1."""
    bins = mel(np.arange(N_FFT // 2 + 1) * RATE / N_FFT)
    step = mel(RATE / 2) / (BANDS - 1)
    # At least as wide as the bins, because low points are closer together than bins.
    width = np.maximum(step, mel(POINTS + 1.2 * RATE / N_FFT) - mel(POINTS))
    weights = np.maximum(1.0 - np.abs(bins[:, None] - mel(POINTS)) / width, 0.0)
    return (weights / weights.sum(0)).astype(np.float32)


MEANS = _means()


@dataclass(frozen=True)
class Recorded:
    """One recorded syllable as frames (n,): consonant, vowel from `first` to `last`, coda.

    shape: (n, k) in dB, the power envelope at POINTS, scaled to a vowel of power 1; noise: (n, 5)
    in dB, the aperiodicity at APERIODIC; level: (n,) in dB relative to the vowel; voiced: (n,);
    pitch of the vowel as a MIDI number; formants: its F1 and F2 in Hz; hiss: whether the consonant
    is voiceless.
    """

    shape: np.ndarray
    noise: np.ndarray
    level: np.ndarray
    voiced: np.ndarray
    first: int
    last: int
    pitch: float
    formants: tuple[float, float]
    hiss: bool


def read_recording(path: Path, seconds: float = 4.0) -> np.ndarray:
    """The first seconds of a recording: (t,) float64 at 44.1 kHz, mean of its channels."""
    with soundfile.SoundFile(path) as file:
        rate = file.samplerate
        audio = file.read(round(seconds * rate), dtype="float64", always_2d=True).mean(1)
    audio -= audio.mean() if len(audio) else 0.0
    return np.ascontiguousarray(audio if rate == RATE else soxr.resample(audio, rate, RATE))


def frame_levels(audio: np.ndarray) -> np.ndarray:
    """RMS in dB (n,) of 20 ms around each frame."""
    half = round(0.01 * RATE)
    power = np.concatenate([[0.0], np.cumsum(np.square(audio))])
    centres = np.round(np.arange(int(len(audio) / (FRAME * RATE)) + 1) * FRAME * RATE).astype(int)
    start, end = np.maximum(centres - half, 0), np.minimum(centres + half, len(audio))
    return 10.0 * np.log10((power[end] - power[start]) / np.maximum(end - start, 1) + 1e-12)


def longest_run(condition: np.ndarray, at: int) -> tuple[int, int]:
    """First and last index around `at` between which the condition (n,) holds without a break."""
    misses = np.flatnonzero(~condition)
    below, above = misses[misses < at], misses[misses > at]
    first = int(below[-1]) + 1 if len(below) else 0
    return first, int(above[0]) - 1 if len(above) else len(condition) - 1


def cut(audio: np.ndarray) -> Recorded | None:
    """The syllable around the loudest steady vowel in audio (t,), or None if there is none.

    WORLD (Morise, Yokomori & Ozawa 2016): F0 by DIO and StoneMask, envelope by CheapTrick,
    aperiodicity by D4C.
    """
    vocoder = world()
    if len(audio) < 0.15 * RATE:
        return None
    f0, times = vocoder.dio(audio, RATE, f0_floor=71.0, f0_ceil=600.0, speed=4)
    f0 = vocoder.stonemask(audio, f0, times, RATE)
    loud = frame_levels(audio)[: len(f0)]
    f0 = f0[: len(loud)]
    if np.count_nonzero(f0) < 10:
        return None
    loudest = int(np.argmax(np.where(f0 > 0, loud, -200.0)))
    # Analyse only the frames that can belong to this syllable, to save time.
    start, end = max(loudest - 110, 0), min(loudest + 130, len(f0))
    bounds = np.round(np.array([start, end]) * FRAME * RATE).astype(int)
    piece = np.ascontiguousarray(audio[bounds[0] : bounds[1]])
    f0, loud = np.ascontiguousarray(f0[start:end]), loud[start:end]
    times = np.arange(len(f0)) * FRAME
    envelope = vocoder.cheaptrick(piece, f0, times, RATE, fft_size=N_FFT)
    shape = (10.0 * np.log10(envelope + 1e-16)).astype(np.float32) @ MEANS
    borders = _borders(shape, loud, f0 > 0, loudest - start)
    if borders is None:
        return None
    start, first, last, end = borders
    syllable = slice(start, end)
    # With threshold 0, DIO alone decides which frames are voiced.
    noise = vocoder.d4c(piece, f0[syllable], times[syllable], RATE, threshold=0.0, fft_size=N_FFT)
    columns = np.round(np.array(APERIODIC) * N_FFT / RATE).astype(int)
    noise = 20.0 * np.log10(noise[:, columns] + 1e-3)
    return _recorded(
        shape[syllable], noise, loud[syllable], f0[syllable], first - start, last - start
    )


def _borders(
    shape: np.ndarray, loud: np.ndarray, voiced: np.ndarray, loudest: int
) -> tuple[int, int, int, int] | None:
    """The frames at the start of a syllable, the start and end of its vowel, and its end."""
    speech = POINTS < 5000.0
    bright = shape[:, speech]
    near = shape[max(loudest - 2, 0) : loudest + 3, speech].mean(0)
    away = np.sqrt(np.square(bright - bright.mean(1, keepdims=True) - near + near.mean()).mean(1))
    steady = voiced & (loud > loud[loudest] - 9.0) & (away < 5.0)
    first, last = longest_run(steady, loudest)
    if last - first < 8:
        return None
    start = _onset(loud, voiced, first, loud[loudest])
    end = len(loud) - _onset(loud[::-1], voiced[::-1], len(loud) - 1 - last, loud[loudest])
    return start, first, last, end


def _recorded(
    shape: np.ndarray, noise: np.ndarray, loud: np.ndarray, f0: np.ndarray, first: int, last: int
) -> Recorded:
    quarter = (last - first) // 4
    centre = slice(first + quarter, last - quarter + 1)
    power = 10.0 * np.log10(np.mean(10.0 ** (loud[centre] / 10.0)))
    hissing = (f0[:first] == 0) & (loud[:first] > power - 35.0)
    return Recorded(
        shape=(shape - _power(shape[centre])).astype(np.float16),
        noise=noise.astype(np.float16),
        level=(loud - power).astype(np.float16),
        voiced=f0 > 0,
        first=first,
        last=last,
        pitch=float(69.0 + 12.0 * np.log2(np.median(f0[centre]) / 440.0)),
        formants=formants(shape[centre].mean(0)),
        hiss=bool(np.count_nonzero(hissing) >= 4),
    )


def _power(shape: np.ndarray) -> float:
    """Power in dB of the mean of envelopes (n, k)."""
    bins = np.arange(N_FFT // 2 + 1) * RATE / N_FFT
    mean = np.interp(bins, POINTS, 10.0 ** (shape / 10.0).mean(0).astype(float))
    return float(10.0 * np.log10(mean.mean()))


def _onset(loud: np.ndarray, voiced: np.ndarray, first: int, peak: float) -> int:
    """The first frame of the consonant before a vowel, after the silence or vowel before that."""
    floor = max(np.quantile(loud, 0.05) + 10.0, peak - 42.0)
    start, quiet, vowel = first, 0, 0
    for i in range(first - 1, max(first - 60, 0) - 1, -1):
        quiet = quiet + 1 if loud[i] < floor else 0
        vowel = vowel + 1 if voiced[i] and loud[i] > peak - 10.0 else 0
        if quiet > 14 or (vowel > 6 and first - i > 12):
            break
        if not quiet:
            start = i
    return start


def formants(shape: np.ndarray) -> tuple[float, float]:
    """F1 and F2 in Hz of one envelope (k,) in dB, by linear prediction below 5.5 kHz."""
    top = 5500.0
    frequencies = np.linspace(0.0, top, 257)
    power = 10.0 ** (np.interp(frequencies, POINTS, shape) / 10.0)
    # Pre-emphasis by differentiation, against the spectral slope of the source.
    correlation = np.fft.irfft(power * (frequencies**2 + 50.0**2))
    order = 11
    correlation[0] *= 1.0001
    filter_ = solve_toeplitz(correlation[:order], -correlation[1 : order + 1])
    roots = np.roots(np.concatenate([[1.0], filter_]))
    roots = roots[(roots.imag > 0) & (np.abs(roots) > 0.8)]
    found = np.sort(np.angle(roots) * top / np.pi)
    found = found[found > 200.0]
    if len(found) < 2:
        return (500.0, 1500.0)
    return (float(found[0]), float(found[1]))
