"""The synthetic singer: render syllables with voice, consonant noise and breaths."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import fft

from common.songs.sound.formants import INHALE, ROUNDED, Noise
from common.songs.sound.gestures import control_signals
from common.songs.sound.syllables import PAUSE, Sung, audible_notes, phrases
from common.songs.sound.vocoder import Vocoder
from common.songs.sound.voices import Voice
from common.songs.writing.score import Syllable


def sing(
    notes: Sequence[Syllable],
    voice: Voice,
    duration: float,
    sample_rate: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Sing one melody: float32 mono (t,), exactly round(duration * sample_rate) samples.

    Where two notes overlap, the later one cuts the earlier one off. The peak is from 0.3 to 0.7,
    depending on the loudest velocity; rests without a breath are silent. The same arguments and the
    same state of `rng` give the same samples.
    ValueError for a negative duration, or an unknown vowel or consonant.
    """
    heard = audible_notes(notes, duration)
    n_samples = round(duration * sample_rate)
    vocoder = Vocoder(voice, sample_rate)
    # A margin at both ends, so that sounds that begin or end outside need no special case.
    margin = vocoder.n_fft
    audio = np.zeros(n_samples + 2 * margin, np.float32)
    silent_since = 0.0
    for phrase in phrases(heard, voice):
        first = max(round((phrase[0].onset - 0.05) * sample_rate), -margin // 2)
        last = min(round((phrase[-1].end + 0.12) * sample_rate), n_samples + margin // 4)
        n_frames = max((last - first) // vocoder.hop_length, 4)
        times = (first + vocoder.hop_length * np.arange(n_frames)) / sample_rate
        motion = control_signals(phrase, voice, times, rng)
        vocoder.add(audio, margin + first, motion, rng)
        for sung in phrase:
            add_consonant_noise(audio[margin:], sung, voice, sample_rate, rng)
        add_inhalation(audio[margin:], silent_since, phrase[0].onset, voice, sample_rate, rng)
        silent_since = phrase[-1].end
    return fade_and_scale(audio[margin : margin + n_samples], heard, sample_rate)


def fade_and_scale(audio: np.ndarray, heard: Sequence[Syllable], sample_rate: int) -> np.ndarray:
    """Fade out sung audio (t,) and set its peak by the loudest velocity, in place."""
    fade = min(len(audio), round(0.004 * sample_rate))
    audio[len(audio) - fade :] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
    peak = np.abs(audio).max(initial=0.0)
    if peak > 0:
        audio *= (0.3 + 0.4 * max(note.velocity for note in heard) / 127) / peak
    return audio


def add_noise(
    audio: np.ndarray,
    start: float,
    envelope: tuple[Sequence[float], Sequence[float]],
    noise: Noise,
    scale: float,
    sample_rate: int,
    rng: np.random.Generator,
) -> None:
    """Add shaped noise to audio (t,) from `start` seconds on.

    envelope: times in seconds from `start`, and the RMS levels at these times; 0 at both ends.
    """
    n_samples = int(envelope[0][-1] * sample_rate)
    first = round(start * sample_rate)
    skipped = max(-first, 0)
    n_kept = min(n_samples, len(audio) - first) - skipped
    if n_kept <= 0:
        return
    n_fft = fft.next_fast_len(max(n_samples, 64), real=True)
    spectrum = fft.rfft(rng.standard_normal(n_fft, np.float32))
    magnitude = noise.spectrum(fft.rfftfreq(n_fft, 1.0 / sample_rate), scale)
    magnitude /= np.sqrt(np.mean(np.square(magnitude)) + 1e-12)
    samples = fft.irfft(spectrum * magnitude.astype(np.float32), n_fft)[:n_samples]
    samples *= np.interp(np.arange(n_samples) / sample_rate, *envelope).astype(np.float32)
    audio[first + skipped : first + skipped + n_kept] += samples[skipped : skipped + n_kept]


def add_consonant_noise(
    audio: np.ndarray, sung: Sung, voice: Voice, sample_rate: int, rng: np.random.Generator
) -> None:
    """Add the noise of a syllable's fricative, or the burst of its stop."""
    consonant = sung.consonant
    if consonant is None or consonant.noise is None:
        return
    softer = 0.6 * voice.dynamics * (np.clip(sung.note.velocity, 1, 127) - 110) / 90.0
    level = consonant.noise.level * voice.consonants * 10.0 ** (softer / 20.0)
    level *= rng.uniform(0.8, 1.25)
    scale = voice.scale**0.5 * (0.85 if sung.note.vowel in ROUNDED else 1.0)
    if consonant.closure:
        start = sung.burst
        times = np.array([0.0, 0.0012, 0.005, 0.012, 0.022, 0.035])
        levels = np.array([0.0, 1.0, 0.7, 0.25, 0.08, 0.0])
    else:
        length = sung.voice - sung.onset
        start = sung.onset - 0.01
        times = np.array([0.0, 0.3, 0.5, 0.85, 1.0]) * length + np.array(
            [0, 0.01, 0.01, 0.01, 0.025]
        )
        levels = np.array([0.0, 0.75, 1.0, 0.85, 0.0])
    add_noise(audio, start, (times, level * levels), consonant.noise, scale, sample_rate, rng)


def add_inhalation(
    audio: np.ndarray,
    silent_since: float,
    onset: float,
    voice: Voice,
    sample_rate: int,
    rng: np.random.Generator,
) -> None:
    """Add an inhalation before a phrase that starts at `onset`, if the pause is long enough."""
    pause = onset - silent_since
    length = min(rng.uniform(0.25, 0.55), 0.6 * pause)
    level = INHALE.level * voice.inhale * rng.uniform(0.5, 1.3)
    if pause < PAUSE or level == 0.0 or rng.random() < 0.15:
        return
    start = onset - rng.uniform(0.03, 0.07) - length
    times = np.array([0.0, 0.35, 0.75, 0.92, 1.0]) * length
    levels = level * np.array([0.0, 0.5, 1.0, 0.6, 0.0])
    add_noise(audio, start, (times, levels), INHALE, voice.scale**0.5, sample_rate, rng)
