"""What a song is before it sounds: notes, parts, sections and the song that holds them."""

from __future__ import annotations

from dataclasses import dataclass

VOWELS = ("a", "ae", "e", "i", "o", "u", "y", "uh", "er", "aw")
"""Vowels that the singer knows (as in father, cat, bed, see, go, blue, tu, but, bird, law)."""

CONSONANTS = ("", "h", "s", "sh", "f", "t", "k", "p", "d", "b", "g", "m", "n", "l", "r", "v", "z")
"""Syllable onsets that the singer knows; the empty one starts straight on the vowel."""


@dataclass(frozen=True)
class Note:
    """One note: start and end in seconds, pitch as a MIDI number, velocity from 1 to 127."""

    start: float
    end: float
    pitch: float
    velocity: int


@dataclass(frozen=True)
class Syllable(Note):
    """A sung note: a consonant, then a vowel; `glide` slides in from the previous pitch."""

    vowel: str = "a"
    consonant: str = ""
    glide: bool = False


@dataclass(frozen=True)
class Part:
    """One player's notes in one stem.

    `instrument` says what renders it: "sampled" (General MIDI program, or for drums the kit
    program on channel 10), "drum synth" or "voice". `program` is then a preset number (0 to 15) or
    a voice number (0 to 63; modulo 3: male, female, child).
    `role` is what the part plays: kick and snare patterns are "drums"; then "bass", "chords",
    "pad", "arpeggio", "riff", "lead" (a tune, sung or played), "double", "harmony", "percussion".
    """

    name: str
    stem: str
    role: str
    instrument: str
    program: int
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class Section:
    """A stretch of the song, in seconds: "intro", "verse", "chorus", "break", "outro", …"""

    name: str
    start: float
    end: float


@dataclass(frozen=True)
class Chord:
    """A chord of the song's harmony, in seconds; `pitch_classes` count up from the root."""

    start: float
    end: float
    symbol: str
    root: int
    pitch_classes: tuple[int, ...]


@dataclass(frozen=True)
class Variety:
    """Which sides of the generator vary from song to song; all of them by default.

    Switching sides off gives the poorer generators that chapter 09 compares.
    """

    styles: bool = True
    timbres: bool = True
    voices: bool = True
    effects: bool = True
    mixes: bool = True


@dataclass(frozen=True)
class Song:
    """A composed song: everything that rendering needs, and what transcription learns from.

    `held_out` says that a training song left the validation songs' sounds to them.
    """

    title: str
    seed: int
    split: str
    style: str
    tempo: float
    key: str
    mode: str
    duration: float
    sections: tuple[Section, ...]
    parts: tuple[Part, ...]
    variety: Variety = Variety()
    chords: tuple[Chord, ...] = ()
    held_out: bool = False
