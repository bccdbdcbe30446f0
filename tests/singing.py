"""Helpers of the singer's tests: performances, and measurements of them."""

import dataclasses

import numpy as np
from scipy import signal

from common.songs.sound.singing import sing
from common.songs.sound.voices import Voice, voice
from common.songs.writing.score import VOWELS, Syllable

RATE = 22050
PITCH = {"male": 48, "female": 58, "child": 63}


def perform(notes, singer: Voice, duration: float, rate: int = RATE, seed: int = 0) -> np.ndarray:
    return sing(notes, singer, duration, rate, np.random.default_rng(seed))


def phrase(singer: Voice, velocity: int = 90) -> list[Syllable]:
    """Eight legato syllables of half a second, from 0.3 s on."""
    words = zip(
        ("a", "i", "e", "o", "u", "ae", "uh", "er"),
        ("", "s", "l", "t", "m", "z", "d", "h"),
        (0, 4, 2, 5, 7, 4, 2, 0),
        strict=True,
    )
    return [
        Syllable(
            0.3 + 0.5 * k, 0.8 + 0.5 * k, PITCH[singer.kind] + step, velocity, vowel, consonant
        )
        for k, (vowel, consonant, step) in enumerate(words)
    ]


def plain(number: int) -> Voice:
    """A voice without the features that would disturb a measurement of its tract or pitch."""
    return dataclasses.replace(
        voice(number),
        tract=1.0,
        accent=((1.0, 1.0, 1.0),) * len(VOWELS),
        ring=0.0,
        twang=0.0,
        air=0.0,
        chest=0.0,
        breath=0.0,
        nasality=0.0,
        diphthong=0.0,
        jitter=0.0,
        shimmer=0.0,
        growl=0.0,
        drift=0.0,
        inhale=0.0,
        vibrato_depth=0.0,
    )


def thirds(audio: np.ndarray, rate: int = RATE) -> np.ndarray:
    """Long-term average spectrum in dB, in thirds of an octave from 100 Hz to 8 kHz, mean 0."""
    frequencies, power = signal.welch(audio, rate, nperseg=min(4096, len(audio)))
    edges = 100.0 * 2.0 ** (np.arange(20) / 3.0)
    bands = [power[(frequencies >= f) & (frequencies < f * 2 ** (1 / 3))].mean() for f in edges]
    decibels = 10.0 * np.log10(np.array(bands) + 1e-14)
    return decibels - decibels.mean()


def band_energy(audio: np.ndarray, low: float, high: float, rate: int = RATE) -> float:
    frequencies, power = signal.welch(audio, rate, nperseg=1024)
    return float(power[(frequencies >= low) & (frequencies < high)].sum())
