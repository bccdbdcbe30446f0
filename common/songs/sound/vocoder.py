"""Source-filter synthesis of the singer: glottal pulses and aspiration through a moving tract.

Every glottal pulse is computed in the frequency domain as source times tract and added at its
exact, fractional time. This avoids aliasing, and each pulse has its own pitch, shape and vowel.
"""

from __future__ import annotations

import numpy as np
from scipy import fft

from common.songs.sound.formants import NASAL_POLE, tract_response
from common.songs.sound.gestures import Motion
from common.songs.sound.glottis import pulse_times, source_response
from common.songs.sound.voices import Voice

N_DELAYS = 64
"""Positions of a pulse per sample: enough for an error below -50 dB at 10 kHz."""

BLOCK = 128
"""Frames computed at once: small enough to stay in the processor's cache."""


class Vocoder:
    """Synthesises one voice at one sample rate."""

    def __init__(self, voice: Voice, sample_rate: int) -> None:
        self.voice = voice
        self.sample_rate = sample_rate
        # 46 ms per pulse: a formant 60 Hz wide has then decayed by 60 dB.
        self.n_fft = 2 ** round(np.log2(0.0464 * sample_rate))
        self.hop_length = self.n_fft // 8
        self.frequencies = fft.rfftfreq(self.n_fft, 1.0 / sample_rate).astype(np.float32)
        self.static = static_response(voice, self.frequencies)
        # A pulse starts before the glottis closes, so time 0 is a quarter into its buffer.
        self.before = self.n_fft // 4
        shifts = self.before + np.arange(N_DELAYS) / N_DELAYS
        bins = np.arange(self.n_fft // 2 + 1) / self.n_fft
        self.delays = np.exp(-2j * np.pi * shifts[:, None] * bins).astype(np.complex64)
        rise, fall = self.n_fft // 16, self.n_fft // 8
        self.taper = np.ones(self.n_fft, np.float32)
        self.taper[:rise] = np.sin(np.linspace(0.0, np.pi / 2.0, rise)) ** 2
        self.taper[-fall:] = np.cos(np.linspace(0.0, np.pi / 2.0, fall)) ** 2
        self.breath = self.frequencies / (self.frequencies + 700.0)

    def add(self, audio: np.ndarray, first: int, motion: Motion, rng: np.random.Generator) -> None:
        """Add one phrase to audio (t,), its frame 0 at sample `first`."""
        n_frames = len(motion.f0)
        samples = np.arange((n_frames - 1) * self.hop_length)
        frames = np.arange(n_frames) * self.hop_length
        f0 = np.interp(samples, frames, motion.f0)
        times, phase = pulse_times(f0, self.sample_rate, self.voice.jitter, rng)
        levels = np.interp(times, frames, motion.level)
        levels *= 10.0 ** (self.voice.shimmer / 20.0 * rng.standard_normal(len(times)))
        levels[1::2] *= 1.0 - self.voice.growl
        heard = levels > 1e-4
        times, levels = times[heard], levels[heard]
        nearest = np.round(times / self.hop_length).astype(int)

        # Air flows while the folds are open, so the pulses of the voice modulate the aspiration.
        pulsing = np.interp(np.cos(2.0 * np.pi * phase), [-1.0, 0.0, 1.0], [0.45, 0.8, 1.5])
        depth = np.interp(samples, frames, np.minimum(motion.level * 4.0, 1.0))
        noise = rng.standard_normal(len(samples), np.float32)
        noise *= np.interp(samples, frames, motion.aspiration) * (1.0 + depth * (pulsing - 1.0))
        noise = np.pad(noise, self.hop_length)

        for start in range(0, n_frames, BLOCK):
            block = slice(start, min(start + BLOCK, n_frames))
            tract = self.static * tract_response(
                self.frequencies,
                motion.formants[block],
                motion.bandwidths[block],
                motion.zeros[block],
            )
            self.add_breath(audio, first + start * self.hop_length, noise, start, tract)
            chosen = np.flatnonzero((nearest >= start) & (nearest < start + BLOCK))
            if len(chosen) == 0:
                continue
            f0, rd = motion.f0[block], motion.rd[block]
            spectra = tract * source_response(self.frequencies, f0, rd)
            power = energy(spectra, self.n_fft) * f0 / self.sample_rate
            rows = np.minimum(nearest[chosen] - start, len(f0) - 1)
            gains = levels[chosen] / np.sqrt(power[rows])
            self.add_pulses(audio, first + times[chosen], spectra[rows], gains)

    def add_pulses(
        self, audio: np.ndarray, times: np.ndarray, spectra: np.ndarray, gains: np.ndarray
    ) -> None:
        """Add pulses with the given spectra (k, f) to audio (t,), at fractional samples (k,)."""
        steps = np.round(times * N_DELAYS).astype(int)
        starts = steps // N_DELAYS - self.before
        spectra *= self.delays[steps % N_DELAYS]
        pulses = fft.irfft(spectra, self.n_fft, axis=1, overwrite_x=True)
        pulses *= gains.astype(np.float32)[:, None] * self.taper
        for start, pulse in zip(starts.tolist(), pulses, strict=True):
            audio[start : start + self.n_fft] += pulse

    def add_breath(
        self, audio: np.ndarray, first: int, noise: np.ndarray, start: int, tract: np.ndarray
    ) -> None:
        """Filter the noise around frames start, start + 1, … by tract (n, f) and add it."""
        hop, n_frames = self.hop_length, len(tract)
        pieces = noise[start * hop : (start + n_frames + 1) * hop]
        n_frames = min(n_frames, len(pieces) // hop - 1)
        if n_frames < 1 or not pieces.any():
            return
        windows = np.lib.stride_tricks.sliding_window_view(pieces, 2 * hop)[::hop][:n_frames]
        hann = 0.5 - 0.5 * np.cos(np.pi * np.arange(2 * hop, dtype=np.float32) / hop)
        filters = tract[:n_frames] * self.breath
        filters /= np.sqrt(energy(filters, self.n_fft)).astype(np.float32)[:, None]
        spectra = fft.rfft(windows * hann, self.n_fft, axis=1) * filters
        filtered = fft.irfft(spectra, self.n_fft, axis=1, overwrite_x=True)
        output = np.zeros((n_frames + 7, hop), np.float32)
        for k, part in enumerate(np.split(filtered, 8, axis=1)):
            output[k : k + n_frames] += part
        audio[first - hop : first - hop + output.size] += output.ravel()


def energy(spectra: np.ndarray, n_fft: int) -> np.ndarray:
    """Sum of the squared samples (n,) of signals given by their half spectra (n, f)."""
    flat = spectra.view(np.float32)
    return np.einsum("nf,nf->n", flat, flat) * (2.0 / n_fft)


def static_response(voice: Voice, frequencies: np.ndarray) -> np.ndarray:
    """Complex response (f,) of the static part: formants above F5, twang, air and chest."""
    f = np.maximum(frequencies, 20.0).astype(np.float64)
    # Real tracts have resonances above F5. Compensate the roll-off of five resonators for the
    # neutral vowel (Fant's higher pole correction), then apply the gentler slope of real tracts.
    scale = voice.scale
    neutral = np.array([[500.0, 1500.0, 2500.0, 3500.0, 4500.0]]) * scale
    five = tract_response(
        frequencies, neutral, np.full((1, 5), 900.0 * scale), np.array([NASAL_POLE])
    )[0]
    octaves = np.log2(f / scale)
    decibels = -20.0 * np.log10(np.abs(five))
    decibels -= voice.upper_slope * np.maximum(octaves - np.log2(4800.0), 0.0)
    upper = 1.0 / (1.0 + np.exp(-(octaves - np.log2(5200.0)) / 0.1))
    decibels += 2.5 * upper * np.cos(2.0 * np.pi * f / voice.upper_step)
    decibels += voice.twang * np.exp(-0.5 * ((octaves - np.log2(2900.0)) / 0.4) ** 2)
    decibels += voice.air / (1.0 + np.exp(-(octaves - np.log2(7000.0)) / 0.2))
    decibels += voice.chest / (1.0 + np.exp((np.log2(f) - np.log2(330.0)) / 0.2))
    # Fractional delays need a spectrum that ends below half the sample rate.
    nyquist = frequencies[-1]
    end = np.clip((nyquist - frequencies) / (0.1 * nyquist), 0.0, 1.0)
    return (minimum_phase(10.0 ** (decibels / 20.0)) * end).astype(np.complex64)


def minimum_phase(magnitude: np.ndarray) -> np.ndarray:
    """The minimum-phase response (f,) of a magnitude (f,), from its cepstrum."""
    cepstrum = fft.irfft(np.log(magnitude))
    half = len(magnitude) - 1
    cepstrum[1:half] *= 2.0
    cepstrum[half + 1 :] = 0.0
    return np.exp(fft.rfft(cepstrum))
