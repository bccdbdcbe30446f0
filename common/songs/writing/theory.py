"""Keys, modes, chords and voice leading."""

from __future__ import annotations

import re
from functools import cache, lru_cache

import numpy as np

from common.songs.random_streams import flip, pick, weighted
from common.songs.writing.score import Chord

FLATS = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
SHARPS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
SHARP_KEYS = (7, 2, 9, 4, 11, 6)
"""Tonics of the major keys that are written with sharps: G, D, A, E, B, F#."""

MODES: dict[str, tuple[int, ...]] = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "harmonic minor": (0, 2, 3, 5, 7, 8, 11),
}

QUALITIES: dict[str, tuple[int, ...]] = {
    "": (0, 4, 7),
    "m": (0, 3, 7),
    "7": (0, 4, 7, 10),
    "m7": (0, 3, 7, 10),
    "maj7": (0, 4, 7, 11),
    "9": (0, 4, 7, 10, 14),
    "m9": (0, 3, 7, 10, 14),
    "maj9": (0, 4, 7, 11, 14),
    "6": (0, 4, 7, 9),
    "m6": (0, 3, 7, 9),
    "add9": (0, 4, 7, 14),
    "sus4": (0, 5, 7),
    "dim": (0, 3, 6),
    "m7b5": (0, 3, 6, 10),
    "7b9": (0, 4, 7, 10, 13),
}

# Numerals refer to the major scale in every mode; spaces separate bars, "-" splits a bar.
# fmt: off
PROGRESSIONS: dict[str, dict[str, tuple[str, ...]]] = {
    "pop": {
        "major": (
            "I V vi IV", "vi IV I V", "I vi IV V", "I IV vi V", "IV I V vi", "I iii IV V",
            "I V ii IV", "I IV I V", "ii IV I V", "I V-vi IV I-V", "vi V IV V", "I ii iii IV",
            "IV V iii vi", "I bVII IV I", "I IVadd9 vi Vsus4-V",
        ),
        "minor": (
            "i bVI bIII bVII", "i bVII bVI bVII", "i iv bVI V", "bVI bVII i i", "i bIII bVII iv",
            "i v bVI bVII", "i bVI iv V", "i iv bVII bIII", "bVI bIII bVII i",
        ),
        "dorian": ("i IV i IV", "i bVII IV i", "i IV bVII bIII", "i v IV i", "i bIII IV i"),
        "mixolydian": ("I bVII IV I", "I v bVII IV", "I bVII I IV", "bVII IV I I", "I IV bVII IV"),
    },
    "rock": {
        "major": ("I IV V IV", "I V IV IV", "I IV I V", "I bVII IV I", "I vi IV V", "I V vi IV"),
        "minor": ("i bVII bVI bVII", "i bIII bVII iv", "i bVI bVII i", "i iv i bVII-bVI"),
        "mixolydian": ("I bVII IV I", "I I bVII IV", "I IV bVII I", "I bIII IV I"),
        "dorian": ("i IV i bVII", "i bVII IV IV", "i bIII IV i", "i i bIII-IV i"),
    },
    "metal": {
        "minor": ("i i bVI bVII", "i bVI bIII bVII", "i i iv-bVI V", "i bVII bVI V"),
        "phrygian": ("i bII i bII", "i i bII bIII-bII", "i bVI bII i", "i bII bIII bII"),
        "harmonic minor": ("i i bVI V", "i iv bVI V", "i V bVI V", "i bII i V"),
        "dorian": ("i i bIII IV", "i bVII IV bIII", "i i bVII IV"),
    },
    "soul": {
        "major": (
            "Imaj7 vi7 ii7 V9", "Imaj9 IVmaj7 iii7 vi7", "IVmaj7 iii7 ii7 Imaj7", "I6 iii7 IV V7",
            "ii7 V9 Imaj7 vi7", "IVmaj7 V7 iii7-vi7 ii7-V7", "I I7 IV ivm6", "Imaj7 II7 ii7 V7",
        ),
        "minor": (
            "i9 iv9 i9 v7", "i7 bVImaj7 bIIImaj7 bVII9", "bVImaj7 v7 i9 i9", "iv9 bVII9 i9 i9",
        ),
        "dorian": ("i9 IV9 i9 IV9", "i7 ii7 bIIImaj7 ii7", "i9 IV9 bVII9 IV9", "i7 v7 IV9 i7"),
        "mixolydian": ("I9 IV9 I9 IV9", "I7 bVII9 IV9 I7", "I9 v7 I9 IV9"),
    },
    "jazz": {
        "major": (
            "Imaj7 vi7 ii7 V7", "ii7 V7 Imaj7 VI7", "Imaj7-VI7 ii7-V7 iii7-VI7 ii7-V7",
            "Imaj7 IV7 iii7-VI7 ii7-V7", "Imaj7 Imaj7 ii7 V7", "II7 II7 ii7 V7b9",
            "Imaj7 I7 IVmaj7 iv6", "Imaj7 bIIImaj7 ii7 bIImaj7", "Imaj9 ii7 iii7-VI7 ii7-V9",
        ),
        "minor": (
            "i6 iim7b5-V7 i6 V7", "i7 iv7 iim7b5 V7b9", "iv7 bVII7 bIIImaj7 bVImaj7",
            "iim7b5 V7b9 i6 i6", "i9 bVI7 iim7b5 V7",
        ),
        "dorian": ("i7 i7 bII7 i7", "i9 IV9 i9 IV9", "i7 ii7 bIIImaj7 ii7"),
    },
    "blues": {
        "mixolydian": (
            "I7 IV7 I7 V7", "I7 I7 IV7 I7", "I7 IV7 I7 I7-V7", "V7 IV7 I7 V7",
            "I7 I7 I7 I7 IV7 IV7 I7 I7 V7 IV7 I7 V7", "I7 IV7 I7 I7 IV7 IV7 I7 VI7 ii7 V7 I7 V7",
        ),
        "dorian": (
            "i7 iv7 i7 v7", "i7 i7 iv7 i7", "i7 i7 i7 i7 iv7 iv7 i7 i7 bVI7 V7 i7 V7",
        ),
    },
    "latin": {
        "major": ("I IV V IV", "I vi ii V7", "I-IV V-IV I-IV V-IV", "ii7 V7 I6 VI7", "I V7 V7 I"),
        "minor": ("i iv V7 V7", "i bVII bVI V7", "i-iv V7-iv i-iv V7", "i i V7 i", "iv i V7 i"),
        "harmonic minor": ("i iv V7 i", "i V7 i V7", "i iv-V7 i iv-V7", "bVI V7 i i"),
        "dorian": ("i IV i IV", "i-IV i-IV bVII-IV i", "i7 IV7 bVII IV7"),
    },
}


# fmt: on
@cache
def numeral(text: str) -> tuple[int, str]:
    """Parse a Roman numeral: → (semitones above the tonic, quality); ValueError if it is none."""
    match = re.fullmatch(r"([b#]?)([ivIV]+)(.*)", text)
    steps = ("i", "ii", "iii", "iv", "v", "vi", "vii")
    if match is None or match[2].lower() not in steps:
        raise ValueError(f"not a chord numeral: {text!r}")
    semitones = MODES["major"][steps.index(match[2].lower())]
    semitones += {"": 0, "b": -1, "#": 1}[match[1]]
    quality = match[3]
    if match[2].islower() and not quality.startswith("m"):
        quality = "m" + quality
    if quality not in QUALITIES:
        raise ValueError(f"unknown chord quality {quality!r} in {text!r}")
    return semitones % 12, quality


def progression(
    rng: np.random.Generator, vocabulary: str, mode: str, invent: float
) -> list[list[tuple[int, str]]]:
    """Draw bars of chords (semitones above the tonic, quality), known ones or invented."""
    known = PROGRESSIONS[vocabulary].get(mode)
    if known is None or flip(rng, invent):
        return invented(rng, MODES[mode])
    text = pick(rng, known)
    return [[numeral(part) for part in bar.split("-")] for bar in text.split(" ")]


def invented(rng: np.random.Generator, scale: tuple[int, ...]) -> list[list[tuple[int, str]]]:
    """Draw four bars of diatonic triads, a random walk by the common root motions."""
    triads = {}
    for degree in range(7):
        third, fifth = ((scale[(degree + k) % 7] - scale[degree]) % 12 for k in (2, 4))
        if fifth == 7 and third in (3, 4):
            triads[degree] = (scale[degree], "" if third == 4 else "m")
    motions = ((3, 3.0), (1, 2.0), (5, 2.0), (4, 2.0), (6, 1.5), (2, 1.0))
    degree = 0 if flip(rng, 0.75) else pick(rng, [d for d in triads if d])
    bars = [degree]
    while len(bars) < 4:
        last = len(bars) == 3
        steps = [(m, w) for m, w in motions if (degree + m) % 7 in triads]
        steps = [(m, w) for m, w in steps if not (last and (degree + m) % 7 in (0, bars[0]))]
        degree = (degree + weighted(rng, steps)) % 7
        bars.append(degree)
    return [[triads[degree]] for degree in bars]


def spelling(tonic: int, mode: str) -> tuple[str, ...]:
    """The names of the twelve pitch classes in a key, with sharps or with flats."""
    # Find the relative major key, which has the same pitch classes.
    scale = {(tonic + step) % 12 for step in MODES["minor" if "minor" in mode else mode]}
    major = next(pc for pc in range(12) if {(pc + step) % 12 for step in MODES["major"]} == scale)
    return SHARPS if major in SHARP_KEYS else FLATS


def chord(tonic: int, mode: str, semitones: int, quality: str, start: float, end: float) -> Chord:
    """The chord that a numeral names in a key."""
    root = (tonic + semitones) % 12
    tones = tuple((root + interval) % 12 for interval in QUALITIES[quality])
    return Chord(start, end, spelling(tonic, mode)[root] + quality, root, tones)


@lru_cache(maxsize=4096)
def scale_pitches(
    scale: tuple[int, ...], tones: tuple[int, ...], low: int, high: int
) -> tuple[int, ...]:
    """The pitches for a melody over a chord: the tones of the scale and of the chord.

    Chord tones outside the scale replace the scale tones a semitone away.
    """
    outside = set(tones) - set(scale)
    replaced = {(tone + step) % 12 for tone in outside for step in (-1, 1)} - set(tones)
    allowed = (set(scale) | set(tones)) - replaced
    return tuple(pitch for pitch in range(low, high + 1) if pitch % 12 in allowed)


@lru_cache(maxsize=4096)
def nearest(tones: tuple[int, ...], target: float, low: int, high: int) -> int:
    """The pitch nearest to `target`, between low and high, that has one of these pitch classes."""
    pitches = [pitch for pitch in range(low, high + 1) if pitch % 12 in tones]
    return min(pitches, key=lambda pitch: (abs(pitch - target), pitch))


@lru_cache(maxsize=4096)
def voicing(
    tones: tuple[int, ...], previous: tuple[int, ...], low: int, high: int
) -> tuple[int, ...]:
    """The close voicing whose voices move least from the previous one (if any)."""
    # Chords of five tones omit the fifth, as players do.
    kept = tones[:2] + tones[3:] if len(tones) > 4 else tones
    middle = (low + high) / 2
    candidates = []
    for bottom in range(low, high - 6):
        if bottom % 12 in kept:
            pitches = sorted(bottom + (tone - bottom) % 12 for tone in kept)
            if pitches[-1] <= high:
                # A cost for the distance from the middle keeps the voices in the register.
                cost = 0.15 * abs(sum(pitches) / len(pitches) - middle)
                if previous:
                    cost += sum(min(abs(p - q) for q in previous) for p in pitches) / len(pitches)
                candidates.append((float(cost), tuple(pitches)))
    return min(candidates)[1]
