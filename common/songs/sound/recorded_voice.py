"""The second singer: recorded people's vowels and consonants, sung through the WORLD vocoder."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import soxr

from common.songs.sound.gestures import ease, loudness, sing_pitch
from common.songs.sound.recorded_phrase import Track, join, plan
from common.songs.sound.recordings import APERIODIC, BANDS, FRAME, N_FFT, POINTS, RATE
from common.songs.sound.singing import finished
from common.songs.sound.speakers import Speaker, draw_speaker, load, speakers
from common.songs.sound.syllables import Sung, heard_within, phrases
from common.songs.sound.voices import Voice, voice
from common.songs.writing.score import Syllable
from common.support.pyworld_compat import world

__all__ = ["Speaker", "draw_speaker", "sing_recorded", "speakers"]

LOWEST_NOISE = -38.0
"""dB of noise in a voiced sound at 0 Hz; WORLD's -60 is cleaner than any throat."""

SILENCE = 1e-12
"""Power of what is not heard: WORLD takes its logarithm."""


def sing_recorded(
    notes: Sequence[Syllable],
    speaker: Speaker,
    n_seconds: float,
    rate: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Sing one melody with a speaker's recorded syllables: float32 mono (t,), like `sing`.

    Exactly round(n_seconds * rate) samples; the peak lies between 0.3 and 0.7, by the loudest
    velocity; where nothing is sung or breathed there is silence. Each note takes a syllable whose
    vowel is near the one it names. The same arguments and the same state of `rng` give the same
    samples. Raises ValueError for a negative duration, or a vowel or consonant that no singer
    knows; UsageError where WORLD is not installed.
    """
    heard = heard_within(notes, n_seconds)
    # How this person sings: vibrato, scoops, accents. No number of the synthetic singer's own.
    style = voice(64 + int(rng.integers(2**20)))
    syllables = load(speaker.path)
    tables = decoders(speaker.stretch * fit_range(speaker, heard))
    margin = RATE
    audio = np.zeros(round(n_seconds * RATE) + 2 * margin, np.float32)
    silent_since = 0.0
    for group in phrases(heard, style):
        sung = plan(group, syllables, rng)
        track = join(sung, silent_since, syllables, style, rng)
        samples = synthesise(track, [one for one, _ in sung], style, tables, rng)
        first = margin + round(track.start * RATE)
        skipped = max(-first, 0)
        samples = samples[skipped : len(audio) - first]
        audio[first + skipped : first + skipped + len(samples)] += samples
        silent_since = sung[-1][0].end
    audio, n_samples = audio[margin:-margin], round(n_seconds * rate)
    if rate != RATE:
        audio = soxr.resample(audio, RATE, rate)
    audio = np.pad(audio, (0, max(n_samples - len(audio), 0)))[:n_samples].astype(np.float32)
    return finished(audio, heard, rate)


def fit_range(speaker: Speaker, notes: Sequence[Syllable]) -> float:
    """Factor on the formants that lets this speaker sing so high or low, from 0.85 to 1.2.

    People sing from about where they speak up to an octave above; beyond, a taller or smaller
    person takes the part.
    """
    if not notes:
        return 1.0
    above = float(np.median([note.pitch for note in notes])) - speaker.pitch
    outside = above - np.clip(above, -1.0, 13.0)
    return float(np.clip(2.0 ** (outside / 36.0), 0.85, 1.2))


def decoders(stretch: float) -> tuple[np.ndarray, np.ndarray]:
    """Matrices (k, f) and (5 + 2, f) from envelope and noise in dB at points to all bins.

    Formants move up by `stretch`.
    """
    bins = np.arange(N_FFT // 2 + 1) * RATE / N_FFT / stretch
    shape = np.array([np.interp(bins, POINTS, row) for row in np.eye(BANDS)])
    points = [0.0, *APERIODIC, RATE / 2]
    noise = np.array([np.interp(bins, points, row) for row in np.eye(len(points))])
    return shape, noise


def synthesise(
    track: Track,
    sung: list[Sung],
    style: Voice,
    tables: tuple[np.ndarray, np.ndarray],
    rng: np.random.Generator,
) -> np.ndarray:
    """Samples (t,) of one phrase at RATE; its vowels have an RMS near 1 at the loudest velocity."""
    n_frames = len(track.gate)
    times = track.start + FRAME * np.arange(n_frames)
    pitch = sing_pitch(sung, style, times, rng)
    # Frames are about as long as periods, so this is jitter and shimmer.
    uneven = np.clip(rng.standard_normal((2, n_frames)), -2.5, 2.5)
    f0 = 440.0 * 2.0 ** ((pitch - 69.0) / 12.0) * (1.0 + style.jitter * uneven[0])
    f0[track.voiced <= 0.5] = 0.0
    decibels = loudness(sung, style, times, rng) + style.shimmer * uneven[1]
    release = min(style.release, 0.3 * (sung[-1].end - sung[-1].voice) + 0.02)
    decibels -= 30.0 * ease(times, sung[-1].end - release, release + 0.015)
    # A softer voice is darker, too.
    octaves = np.clip(np.log2(np.maximum(POINTS, 100.0) / 800.0), 0.0, 2.5)
    shape = track.shape + decibels[:, None] * (1.0 + 0.15 * octaves)
    # Who sings presses more than who speaks, and draws F3 to F5 together (Sundberg 1974).
    ring = 3.0 + 0.5 * style.twang + 5.0 * style.ring
    shape += ring * np.exp(-0.5 * np.square(np.log2(np.maximum(POINTS, 50.0) / 2900.0) / 0.6))
    power = 10.0 ** (0.1 * (shape @ tables[0])) * np.square(track.gate)[:, None]
    ends = np.zeros((n_frames, 1))
    noise = np.concatenate([ends + LOWEST_NOISE, track.noise, ends], axis=1) @ tables[1]
    # WORLD draws the same noise each time: silent frames before it make it another one.
    n_silent = 2 * int(rng.integers(40))
    samples = world().synthesize(
        np.pad(f0, (n_silent, 0)),
        np.pad(power, ((n_silent, 0), (0, 0))) + SILENCE,
        np.pad(np.minimum(10.0 ** (noise / 20.0), 1.0), ((n_silent, 0), (0, 0)), mode="edge"),
        RATE,
        1e3 * FRAME,
    )
    return samples[round(n_silent * FRAME * RATE) :].astype(np.float32)
