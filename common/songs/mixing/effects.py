"""Studio effects on numpy audio (c, t), float32: one function per effect.

All are vectorised, because a song uses about forty of them and should still render much faster than
real time. The filters are the biquads of Robert Bristow-Johnson's
"Cookbook formulae for audio EQ biquad filter coefficients".
"""

from __future__ import annotations

import numpy as np
import soxr
from scipy import ndimage, signal

STEP = 128
"""Samples per update of an envelope (compressor, limiter)."""


def biquad(kind: str, frequency: float, sample_rate: int, gain: float = 0.0, q: float = 0.7071):
    """Design a second-order section (1, 6).

    kind: "low" or "high" (pass), "peak", "lowshelf" or "highshelf"; frequency in Hz; gain in dB
    (peak and shelves only).
    """
    w = 2 * np.pi * min(frequency, 0.45 * sample_rate) / sample_rate
    cos, alpha, a = np.cos(w), np.sin(w) / (2 * q), 10 ** (gain / 40)
    if kind == "low":
        b0, b1, b2 = (1 - cos) / 2, 1 - cos, (1 - cos) / 2
        a0, a1, a2 = 1 + alpha, -2 * cos, 1 - alpha
    elif kind == "high":
        b0, b1, b2 = (1 + cos) / 2, -1 - cos, (1 + cos) / 2
        a0, a1, a2 = 1 + alpha, -2 * cos, 1 - alpha
    elif kind == "peak":
        b0, b1, b2 = 1 + alpha * a, -2 * cos, 1 - alpha * a
        a0, a1, a2 = 1 + alpha / a, -2 * cos, 1 - alpha / a
    else:
        sign = 1 if kind == "lowshelf" else -1
        root = 2 * np.sqrt(a) * alpha
        b0 = a * ((a + 1) - sign * (a - 1) * cos + root)
        b1 = sign * 2 * a * ((a - 1) - sign * (a + 1) * cos)
        b2 = a * ((a + 1) - sign * (a - 1) * cos - root)
        a0 = (a + 1) + sign * (a - 1) * cos + root
        a1 = -sign * 2 * ((a - 1) + sign * (a + 1) * cos)
        a2 = (a + 1) + sign * (a - 1) * cos - root
    return np.array([[b0 / a0, b1 / a0, b2 / a0, 1.0, a1 / a0, a2 / a0]])


def equalise(audio: np.ndarray, *sections: np.ndarray) -> np.ndarray:
    """Run audio through biquads in series."""
    # In single precision a low cut at 30 Hz would be noisy: its poles are too close to 1.
    return signal.sosfilt(np.concatenate(sections), audio.astype(np.float64)).astype(np.float32)


def distort(audio: np.ndarray, drive: float, asymmetry: float = 0.0) -> np.ndarray:
    """Saturate with tanh at twice the sample rate, to reduce aliasing.

    drive: gain in dB before the saturation, relative to the part's RMS; asymmetry adds even
    harmonics. The RMS is kept.
    """
    level = rms(audio) + 1e-9
    up = soxr.resample(np.ascontiguousarray(audio.T), 1, 2, "MQ") * (10 ** (drive / 20) / level)
    np.tanh(0.5 * up + np.float32(asymmetry), out=up)
    up -= np.float32(np.tanh(asymmetry))
    shaped = fit_length(soxr.resample(up, 2, 1, "MQ").T, audio.shape[1])
    return match_level(shaped, level)


def cabinet(audio: np.ndarray, sample_rate: int, tone: float) -> np.ndarray:
    """Simulate a guitar speaker: high-pass, presence peak, steep low-pass at `tone` Hz."""
    return equalise(
        audio,
        biquad("high", 90, sample_rate),
        biquad("peak", 0.6 * tone, sample_rate, 4.0, 1.0),
        biquad("low", tone, sample_rate, q=0.54),
        biquad("low", tone, sample_rate, q=1.3),
    )


def excite(audio: np.ndarray, sample_rate: int, frequency: float, amount: float) -> np.ndarray:
    """Add the octave of the band above `frequency` (Hz), at `amount` dB relative to the band.

    The samples of instruments are band-limited; this restores some high frequencies.
    """
    band = equalise(audio, biquad("high", frequency, sample_rate))
    octave = equalise(np.abs(band), biquad("high", 1.5 * frequency, sample_rate))
    return audio + match_level(octave, rms(band) * 10 ** (amount / 20))


def compress(
    audio: np.ndarray,
    sample_rate: int,
    threshold: float,
    ratio: float,
    attack: float = 0.005,
    release: float = 0.12,
) -> np.ndarray:
    """Reduce the level above the threshold (dBFS); feed-forward, channels linked.

    attack and release in seconds. The envelope runs at sample_rate / STEP.
    """
    peaks = _block_peaks(audio)
    excess = 20 * np.log10(np.maximum(peaks, 1e-6)) - threshold
    target = np.maximum(excess, 0) * (1 - 1 / ratio)
    up, down = (1 - np.exp(-STEP / (sample_rate * seconds)) for seconds in (attack, release))
    reduction, state = [], 0.0
    for value in target.tolist():
        state += (up if value > state else down) * (value - state)
        reduction.append(state)
    return _apply_gain(audio, 10 ** (-np.array(reduction) / 20))


def limit(audio: np.ndarray, ceiling: float) -> np.ndarray:
    """Limit peaks to the ceiling (linear), with a gain reduction that starts before each peak."""
    needed = np.minimum(1.0, ceiling / np.maximum(_block_peaks(audio), 1e-9))
    if needed.min() >= 1.0:
        return audio
    window = 8
    lowest = ndimage.minimum_filter1d(needed, 2 * window + 1, mode="nearest")
    gain = ndimage.uniform_filter1d(lowest, 2 * window - 3, mode="nearest")
    return _apply_gain(audio, gain)


def _block_peaks(audio: np.ndarray) -> np.ndarray:
    n_blocks = -(-audio.shape[1] // STEP)
    louder = np.abs(audio[0])
    for channel in audio[1:]:
        np.maximum(louder, np.abs(channel), out=louder)
    return fit_length(louder[None], n_blocks * STEP).reshape(n_blocks, STEP).max(axis=1)


def _apply_gain(audio: np.ndarray, gain: np.ndarray) -> np.ndarray:
    return audio * _interpolate(gain, audio.shape[1])


def _interpolate(values: np.ndarray, n_samples: int) -> np.ndarray:
    """Interpolate linearly between values given every STEP samples: → (n_samples,) float32."""
    values = np.concatenate([values, values[-1:]]).astype(np.float32)
    ramp = np.arange(STEP, dtype=np.float32) / STEP
    lines = values[:-1, None] + np.diff(values)[:, None] * ramp
    return lines.reshape(-1)[:n_samples]


def modulated_copy(
    mono: np.ndarray, sample_rate: int, delay: float, depth: float, speed: float, phase: float
) -> np.ndarray:
    """Return a copy (t,) with a sinusoidally modulated delay, for chorus, flanger and doubling.

    delay and depth in seconds, speed in Hz, phase in radians.
    """
    t = np.arange(-(-len(mono) // STEP) + 1) * (STEP / sample_rate)
    swing = delay + depth * np.sin(2 * np.pi * speed * t + phase)
    late = _interpolate(sample_rate * swing, len(mono))
    whole = late.astype(np.int32)
    index = np.arange(len(mono), dtype=np.int32) - whole
    np.maximum(index, 1, out=index)
    later = mono[index]
    return later + (late - whole) * (mono[index - 1] - later)


def chorus(
    audio: np.ndarray,
    sample_rate: int,
    depth: float,
    speed: float,
    mix: float,
    delay: float = 0.014,
) -> np.ndarray:
    """Add a modulated copy to each channel: → (2, t). A delay of 2 ms makes it a flanger."""
    mono = mix * audio.mean(axis=0)
    left = modulated_copy(mono, sample_rate, delay, depth, speed, 0.0)
    right = modulated_copy(mono, sample_rate, delay * 1.19, depth, speed * 1.07, np.pi / 2)
    return audio * np.float32(1 - 0.5 * mix) + np.stack([left, right])


def sweep(audio: np.ndarray, sample_rate: int, speed: float, cutoff: float) -> np.ndarray:
    """Fade periodically between low-passed and full audio: speed and cutoff in Hz."""
    dull = equalise(audio, biquad("low", cutoff, sample_rate, q=1.2))
    t = np.arange(audio.shape[1], dtype=np.float32) / sample_rate
    openness = 0.5 - 0.5 * np.cos(2 * np.pi * speed * t)
    return dull + (audio - dull) * openness


def tremolo(audio: np.ndarray, sample_rate: int, speed: float, depth: float) -> np.ndarray:
    """Modulate the gain at `speed` Hz between 1 - `depth` and 1."""
    t = np.arange(audio.shape[1], dtype=np.float32) / sample_rate
    return audio * (1 - depth * (0.5 - 0.5 * np.cos(2 * np.pi * speed * t)))


def duck(audio: np.ndarray, sample_rate: int, beats: tuple[float, ...], depth: float) -> np.ndarray:
    """Reduce the level by `depth` (0 to 1) at each beat (in seconds); it recovers within 0.3 s."""
    gain = np.ones(-(-audio.shape[1] // STEP) + 1)
    dip = 1 - depth * np.cos(np.linspace(0, np.pi / 2, round(0.3 * sample_rate / STEP))) ** 2
    # A fade-out over three envelope steps avoids a click.
    dip = np.concatenate([np.linspace(1, dip[0], 3), dip])
    for beat in beats:
        first = max(0, round(beat * sample_rate / STEP) - 3)
        there = gain[first : first + len(dip)]
        np.minimum(there, dip[: len(there)], out=there)
    return _apply_gain(audio, gain)


def echo(audio: np.ndarray, sample_rate: int, seconds: float, feedback: float) -> np.ndarray:
    """Return ping-pong echoes (2, t) without the dry sound: left, right, left, …"""
    mono = audio.mean(axis=0)
    out = np.zeros((2, audio.shape[1]), np.float32)
    for k in range(1, 7):
        shift = round(k * seconds * sample_rate)
        if shift >= len(mono) or feedback**k < 0.02:
            break
        out[(k - 1) % 2, shift:] += mono[:-shift] * feedback**k
    return out


def pan(audio: np.ndarray, position: float, width: float) -> np.ndarray:
    """Pan audio (c, t) between left (-1) and right (1): → (2, t); width scales the side signal."""
    angle = (position + 1) * np.pi / 4
    left, right = np.float32(np.sqrt(2) * np.array([np.cos(angle), np.sin(angle)]))
    if len(audio) == 1:
        return np.stack([left * audio[0], right * audio[0]])
    middle = np.float32(0.5) * (audio[0] + audio[1])
    side = np.float32(0.5 * width) * (audio[0] - audio[1])
    return np.stack([left * middle + side, right * middle - side])


def match_level(audio: np.ndarray, level: float) -> np.ndarray:
    """Scale audio to a root mean square of `level`."""
    return audio * np.float32(level / (rms(audio) + 1e-9))


def rms(audio: np.ndarray) -> float:
    """Root mean square over all channels and samples."""
    # Not np.dot: in a threaded BLAS, the order of summation depends on the number of cores.
    return float(np.sqrt(np.einsum("ct,ct->", audio, audio) / max(1, audio.size)))


def fit_length(audio: np.ndarray, n_samples: int) -> np.ndarray:
    """Cut (c, t) to n_samples or pad it with silence."""
    if audio.shape[1] >= n_samples:
        return audio[:, :n_samples]
    return np.pad(audio, ((0, 0), (0, n_samples - audio.shape[1])))
