"""One phrase of recorded syllables: their selection, timing and concatenation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from common.songs.sound.formants import FORMANTS
from common.songs.sound.gestures import smooth_noise
from common.songs.sound.recordings import APERIODIC, BANDS, FRAME, N_FFT, POINTS, RATE, Recorded
from common.songs.sound.syllables import PAUSE, Sung
from common.songs.sound.voices import Voice
from common.songs.writing.score import VOWELS, Syllable

VOICELESS = frozenset({"h", "s", "sh", "f", "t", "k", "p"})
"""Voiceless consonants."""

JOIN = 4
"""Frames on each side of a join over which two syllables are crossfaded."""

LEAD = 0.1
"""Seconds of silence at the start of a phrase's frames."""


@dataclass(frozen=True)
class Track:
    """The frames of a phrase, from `start` seconds on.

    shape: envelope (n, k) in dB; noise: aperiodicity (n, 5) in dB; voiced: (n,), 0 to 1; gate:
    amplitude (n,).
    """

    start: float
    shape: np.ndarray
    noise: np.ndarray
    voiced: np.ndarray
    gate: np.ndarray


def choose(note: Syllable, syllables: tuple[Recorded, ...], rng: np.random.Generator) -> Recorded:
    """Draw one of the recorded syllables whose vowel and consonant are nearest to the note's.

    Vowels are compared by log F1 and F2 relative to the speaker's medians, so that one table serves
    men, women and children. A voiced consonant for a voiceless one, or the reverse, counts as a
    difference of 25 % between vowels.
    """
    table = np.log([FORMANTS["male"][vowel][:2] for vowel in VOWELS])
    spoken = np.log([syllable.formants for syllable in syllables])
    wanted = table[VOWELS.index(note.vowel)] - table.mean(0)
    away = np.linalg.norm(spoken - np.median(spoken, 0) - wanted, axis=1)
    hisses = np.array([syllable.hiss for syllable in syllables])
    away += 0.25 * (hisses != (note.consonant in VOICELESS))
    nearest = np.flatnonzero(away < away.min() + 0.15)
    return syllables[int(nearest[rng.integers(len(nearest))])]


def plan(
    group: list[Sung], syllables: tuple[Recorded, ...], rng: np.random.Generator
) -> list[tuple[Sung, Recorded]]:
    """Choose and time the recorded syllables of a phrase; vowels start with their notes."""
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
            # Legato: a note that reaches the next one lasts until the next syllable's onset.
            end = following - lead if end > following - lead - 0.06 else end
        planned.append(
            (Sung(one.note, None, onset, onset, start, max(end, start + 0.03)), syllable)
        )
    return planned


def positions(
    syllable: Recorded, n_onset: int, n_rest: int, rng: np.random.Generator
) -> np.ndarray:
    """The frame of a recorded syllable at each output frame: (JOIN + n_onset + n_rest + JOIN,).

    The consonant and the coda keep their speed. A short vowel is sped up; a long one keeps the
    speed of its two ends and moves randomly around its middle in between.
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
        vowel = np.clip(vowel + 0.3 * natural * free * smooth_noise(n_vowel, 45, rng), first, last)
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
    """Concatenate a phrase's syllables with crossfades, with an inhalation after a long pause."""
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
    """Parameters (n, k + 6) of a syllable at fractional frames (n,), with a vowel of even level.

    Voiceless frames stay 3 dB below the vowel, because some microphones were too close.
    """
    low = place.astype(int)
    level = syllable.level[low].astype(np.float32)
    inside = np.minimum(place - syllable.first, syllable.last - place)
    even = np.clip(inside / 6.0, 0.0, 1.0) * np.clip(level, -12.0, 6.0)
    even += np.where(syllable.voiced[low], 0.0, np.maximum(level + 3.0, 0.0))
    high = np.minimum(low + 1, len(syllable.level) - 1)
    part = (place - low).astype(np.float32)[:, None]
    frames = np.concatenate(
        [syllable.shape, syllable.noise, syllable.voiced[:, None]], axis=1, dtype=np.float32
    )
    found = frames[low] * (1.0 - part) + frames[high] * part
    found[:, :BANDS] -= even[:, None]
    return found


def inhaled(syllables: tuple[Recorded, ...]) -> np.ndarray:
    """Envelope (k,) in dB, power 1, of an inhalation: the mean vowel, tilted to a flat source."""
    vowels = [syllable.shape[syllable.first : syllable.last].mean(0) for syllable in syllables]
    mean = np.mean(vowels, 0, dtype=np.float32)
    tilted = mean + 10.0 * np.clip(np.log2(np.maximum(POINTS, 50.0) / 500.0), -2.0, 3.0)
    bins = np.arange(N_FFT // 2 + 1) * RATE / N_FFT
    return tilted - 10.0 * np.log10(np.mean(np.interp(bins, POINTS, 10.0 ** (tilted / 10.0))))
