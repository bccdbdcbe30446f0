"""The second singer: recorded people's vowels and consonants, sung through the WORLD vocoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import soxr

from common.songs.sound.formants import FORMANTS
from common.songs.sound.gestures import ease, loudness, sing_pitch, wander
from common.songs.sound.recordings import (
    APERIODIC,
    BANDS,
    FRAME,
    N_FFT,
    POINTS,
    RATE,
    Recorded,
)
from common.songs.sound.speakers import Speaker, draw_speaker, load, speakers
from common.songs.sound.syllables import PAUSE, Sung, phrases
from common.songs.sound.voices import Voice, voice
from common.songs.writing.score import CONSONANTS, VOWELS, Syllable
from common.support.pyworld_compat import world

__all__ = ["Speaker", "draw_speaker", "sing_recorded", "speakers"]

HISSES = frozenset({"h", "s", "sh", "f", "t", "k", "p"})
"""Consonants without voice."""

JOIN = 4
"""Frames to either side of a join in which one syllable becomes the next."""

LEAD = 0.1
"""Seconds of silence that a phrase's frames start with."""

LOWEST_NOISE = -45.0
"""dB of noise in a voiced sound at 0 Hz; WORLD's -60 is cleaner than any throat."""

SILENCE = 1e-12
"""Power of what is not heard: WORLD takes its logarithm."""


@dataclass(frozen=True)
class Track:
    """A phrase in frames from `start` seconds on: envelope (n, k) and noise (n, 5) in dB, voiced
    (n,) from 0 to 1, and the amplitude (n,) of all that."""

    start: float
    shape: np.ndarray
    noise: np.ndarray
    voiced: np.ndarray
    gate: np.ndarray


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
    if n_seconds < 0:
        raise ValueError(f"a song lasts 0 s or more, not {n_seconds}")
    for note in notes:
        if note.vowel not in VOWELS or note.consonant not in CONSONANTS:
            raise ValueError(f"no singer knows the syllable {note.consonant!r} + {note.vowel!r}")
    heard = [note for note in notes if 0 <= note.start < n_seconds and note.end > note.start]
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
    return _finish(audio[margin:-margin], heard, round(n_seconds * rate), rate)


def _finish(audio: np.ndarray, heard: list[Syllable], n_samples: int, rate: int) -> np.ndarray:
    if rate != RATE:
        audio = soxr.resample(audio, RATE, rate)
    audio = np.pad(audio, (0, max(n_samples - len(audio), 0)))[:n_samples].astype(np.float32)
    fade = min(n_samples, round(0.004 * rate))
    audio[n_samples - fade :] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
    peak = np.abs(audio).max(initial=0.0)
    if peak > 0:
        audio *= (0.3 + 0.4 * max(note.velocity for note in heard) / 127) / peak
    return audio


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


def choose(note: Syllable, syllables: tuple[Recorded, ...], rng: np.random.Generator) -> Recorded:
    """One of the recorded syllables whose vowel and consonant are nearest to the note's.

    Vowels are compared by F1 and F2 relative to the speaker's own averages, so that men, women and
    children share one table; a wrong kind of consonant counts as a vowel that is 25 % away.
    """
    table = np.log([FORMANTS["male"][vowel][:2] for vowel in VOWELS])
    spoken = np.log([syllable.formants for syllable in syllables])
    wanted = table[VOWELS.index(note.vowel)] - table.mean(0)
    away = np.linalg.norm(spoken - np.median(spoken, 0) - wanted, axis=1)
    hisses = np.array([syllable.hiss for syllable in syllables])
    away += 0.25 * (hisses != (note.consonant in HISSES))
    nearest = np.flatnonzero(away < away.min() + 0.15)
    return syllables[int(nearest[rng.integers(len(nearest))])]


def plan(
    group: list[Sung], syllables: tuple[Recorded, ...], rng: np.random.Generator
) -> list[tuple[Sung, Recorded]]:
    """Recorded syllables for a phrase, and when they sound: the vowel meets the note's start."""
    chosen = [choose(one.note, syllables, rng) for one in group]
    planned = []
    for i, (one, syllable) in enumerate(zip(group, chosen, strict=True)):
        start = one.note.start
        room = 0.5 * (start - group[i - 1].note.start) if i else 0.3
        onset = max(start - min(syllable.first * FRAME, room), 0.0)
        end = max(one.note.end, start + 0.06)
        if i + 1 < len(group):
            following = group[i + 1].note.start
            lead = min(chosen[i + 1].first * FRAME, 0.5 * (following - start))
            # Legato: a note that reaches the next one lasts until that one's first sound.
            end = following - lead if end > following - lead - 0.06 else end
        planned.append(
            (Sung(one.note, None, onset, onset, start, max(end, start + 0.03)), syllable)
        )
    return planned


def positions(
    syllable: Recorded, n_onset: int, n_rest: int, rng: np.random.Generator
) -> np.ndarray:
    """Which frame of a recorded syllable sounds when: (JOIN + n_onset + n_rest + JOIN,).

    The consonant as it was said; the vowel as long as it takes: in at its own pace, then to and
    fro around its middle, and out; then what was said after it.
    """
    n_coda = min(len(syllable.level) - 1 - syllable.last, int(0.3 * n_rest))
    n_vowel = n_rest - n_coda
    first, last = syllable.first, syllable.last
    natural = last - first
    k = np.arange(n_vowel)
    if n_vowel <= natural:
        vowel = np.linspace(first, last, n_vowel)
    else:
        half = 0.5 * natural
        free = np.clip(np.minimum(k, n_vowel - 1 - k) / half - 1.0, 0.0, 1.0)
        vowel = np.where(k < half, first + k, np.maximum(last - (n_vowel - 1 - k), first + half))
        vowel = np.clip(vowel + 0.3 * natural * free * wander(n_vowel, 45, rng), first, last)
    before = np.arange(first - n_onset - JOIN, first)
    after = np.arange(last + 1, last + 1 + n_coda + JOIN)
    return np.clip(np.concatenate([before, vowel, after]), 0, len(syllable.level) - 1)


def join(
    sung: list[tuple[Sung, Recorded]],
    silent_since: float,
    syllables: tuple[Recorded, ...],
    style: Voice,
    rng: np.random.Generator,
) -> Track:
    """One phrase's frames: its syllables' parameters, faded into one another, and a breath."""
    onset, end = sung[0][0].onset, sung[-1][0].end
    pause = onset - silent_since
    breath = min(rng.uniform(0.25, 0.55), 0.6 * pause)
    breathes = pause > PAUSE and style.inhale > 0 and rng.random() > 0.15
    start = onset - LEAD - (breath if breathes else 0.0)
    n_frames = int((end + 0.2 - start) / FRAME)
    total = np.zeros((n_frames, BANDS + len(APERIODIC) + 1), np.float32)
    weight = np.full(n_frames, 1e-9, np.float32)
    for one, syllable in sung:
        at = round((one.onset - start) / FRAME) - JOIN
        n_onset = round((one.voice - one.onset) / FRAME)
        n_rest = round((one.end - one.voice) / FRAME)
        place = positions(syllable, n_onset, n_rest, rng)
        fade = np.sin(0.25 * np.pi * np.arange(1, 2 * JOIN + 1) / JOIN - np.pi / 8 / JOIN) ** 2
        shares = np.ones(len(place), np.float32)
        shares[: 2 * JOIN] *= fade
        shares[-2 * JOIN :] *= fade[::-1]
        total[at : at + len(place)] += shares[:, None] * read(syllable, place)
        weight[at : at + len(place)] += shares
    total /= weight[:, None]
    gate = np.minimum(weight, 1.0)
    shape, noise, voiced = np.split(total, [BANDS, BANDS + len(APERIODIC)], axis=1)
    if breathes:
        drawn = slice(round(0.05 / FRAME), round((0.05 + breath) / FRAME))
        shape[drawn] = inhaled(syllables)
        level = 0.06 * style.inhale * rng.uniform(0.5, 1.3)
        n_drawn = drawn.stop - drawn.start
        gate[drawn] = level * np.interp(
            np.linspace(0, 1, n_drawn), [0, 0.35, 0.75, 0.92, 1], [0, 0.5, 1, 0.6, 0]
        )
    return Track(start, shape, noise, voiced[:, 0], gate)


def read(syllable: Recorded, place: np.ndarray) -> np.ndarray:
    """Parameters (n, k + 6) of a syllable at fractional frames (n,), its vowel equally loud."""
    inside = np.minimum(place - syllable.first, syllable.last - place)
    even = np.clip(inside / 6.0, 0.0, 1.0) * np.clip(syllable.level, -12.0, 6.0)[place.astype(int)]
    low = place.astype(int)
    high = np.minimum(low + 1, len(syllable.level) - 1)
    part = (place - low).astype(np.float32)[:, None]
    frames = np.concatenate(
        [syllable.shape, syllable.noise, syllable.voiced[:, None]], axis=1, dtype=np.float32
    )
    found = frames[low] * (1.0 - part) + frames[high] * part
    found[:, :BANDS] -= even[:, None]
    return found


def inhaled(syllables: tuple[Recorded, ...]) -> np.ndarray:
    """Envelope (k,) in dB, power 1, of breath through the speaker's open mouth: a flat source."""
    vowels = [syllable.shape[syllable.first : syllable.last].mean(0) for syllable in syllables]
    mean = np.mean(vowels, 0, dtype=np.float32)
    tilted = mean + 10.0 * np.clip(np.log2(np.maximum(POINTS, 50.0) / 500.0), -2.0, 3.0)
    bins = np.arange(N_FFT // 2 + 1) * RATE / N_FFT
    return tilted - 10.0 * np.log10(np.mean(np.interp(bins, POINTS, 10.0 ** (tilted / 10.0))))


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
