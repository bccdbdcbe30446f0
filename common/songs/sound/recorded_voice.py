"""Singing with recorded speakers: their syllables, resynthesised with the WORLD vocoder."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import soxr

from common.songs.sound.gestures import loudness, sing_pitch, smooth_step
from common.songs.sound.recorded_phrase import Track, join, plan
from common.songs.sound.recordings import APERIODIC, BANDS, FRAME, N_FFT, POINTS, RATE
from common.songs.sound.singing import fade_and_scale
from common.songs.sound.speakers import Speaker, draw_speaker, load, speakers
from common.songs.sound.syllables import Sung, audible_notes, phrases
from common.songs.sound.voices import Voice, voice
from common.songs.writing.score import Syllable
from common.support.pyworld_compat import world

__all__ = ["Speaker", "draw_speaker", "sing_recorded", "speakers"]

LOWEST_NOISE = -38.0
"""Aperiodicity of a voiced sound at 0 Hz, in dB; WORLD's -60 is lower than in real voices."""

SILENCE = 1e-12
"""Power that is added to every frame, because WORLD takes the logarithm."""


def sing_recorded(
    notes: Sequence[Syllable],
    speaker: Speaker,
    n_seconds: float,
    rate: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Sing one melody with a speaker's recorded syllables: float32 mono (t,), like `sing`.

    Exactly round(n_seconds * rate) samples; the peak is from 0.3 to 0.7, depending on the loudest
    velocity; rests without a breath are silent. Each note uses a syllable with a similar vowel. The
    same arguments and the same state of `rng` give the same samples. ValueError for a negative
    duration, or an unknown vowel or consonant; UsageError if WORLD is not installed.
    """
    heard = audible_notes(notes, n_seconds)
    # Style of singing (vibrato, scoops, accents), from numbers that no synthetic voice has.
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
    return fade_and_scale(audio, heard, rate)


def fit_range(speaker: Speaker, notes: Sequence[Syllable]) -> float:
    """Factor on the formants, from 0.85 to 1.2, that suits the speaker to the pitch of the notes.

    A singer's range is about the octave above the speaking pitch; beyond it, the factor makes the
    speaker sound taller or smaller.
    """
    if not notes:
        return 1.0
    above = float(np.median([note.pitch for note in notes])) - speaker.pitch
    outside = above - np.clip(above, -1.0, 13.0)
    return float(np.clip(2.0 ** (outside / 36.0), 0.85, 1.2))


def decoders(stretch: float) -> tuple[np.ndarray, np.ndarray]:
    """Matrices (k, f) and (5 + 2, f) that interpolate envelope and noise in dB to all bins.

    Formants are multiplied by `stretch`.
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
    # Frames are about as long as pitch periods, so random values per frame are jitter and shimmer.
    uneven = np.clip(rng.standard_normal((2, n_frames)), -2.5, 2.5)
    f0 = 440.0 * 2.0 ** ((pitch - 69.0) / 12.0) * (1.0 + style.jitter * uneven[0])
    f0[track.voiced <= 0.5] = 0.0
    decibels = loudness(sung, style, times, rng) + style.shimmer * uneven[1]
    release = min(style.release, 0.3 * (sung[-1].end - sung[-1].voice) + 0.02)
    decibels -= 30.0 * smooth_step(times, sung[-1].end - release, release + 0.015)
    # A softer voice has less treble.
    octaves = np.clip(np.log2(np.maximum(POINTS, 100.0) / 800.0), 0.0, 2.5)
    shape = track.shape + decibels[:, None] * (1.0 + 0.15 * octaves)
    # A singing voice is more pressed than speech and has a singer's formant (Sundberg 1974).
    ring = 3.0 + 0.5 * style.twang + 5.0 * style.ring
    shape += ring * np.exp(-0.5 * np.square(np.log2(np.maximum(POINTS, 50.0) / 2900.0) / 0.6))
    power = 10.0 ** (0.1 * (shape @ tables[0])) * np.square(track.gate)[:, None]
    ends = np.zeros((n_frames, 1))
    noise = np.concatenate([ends + LOWEST_NOISE, track.noise, ends], axis=1) @ tables[1]
    # WORLD uses the same noise in every call: a random number of silent frames shifts it.
    n_silent = 2 * int(rng.integers(40))
    samples = world().synthesize(
        np.pad(f0, (n_silent, 0)),
        np.pad(power, ((n_silent, 0), (0, 0))) + SILENCE,
        np.pad(np.minimum(10.0 ** (noise / 20.0), 1.0), ((n_silent, 0), (0, 0)), mode="edge"),
        RATE,
        1e3 * FRAME,
    )
    return samples[round(n_silent * FRAME * RATE) :].astype(np.float32)
