"""The score of a song: notes, parts, sections and chords."""

from __future__ import annotations

from dataclasses import dataclass

VOWELS = ("a", "ae", "e", "i", "o", "u", "y", "uh", "er", "aw")
"""Vowels of the singer (as in father, cat, bed, see, go, blue, tu, but, bird, law)."""

CONSONANTS = ("", "h", "s", "sh", "f", "t", "k", "p", "d", "b", "g", "m", "n", "l", "r", "v", "z")
"""Syllable onsets of the singer; the empty one starts directly with the vowel."""


@dataclass(frozen=True)
class Note:
    """One note: start and end in seconds, pitch as a MIDI number, velocity from 1 to 127."""

    start: float
    end: float
    pitch: float
    velocity: int


@dataclass(frozen=True)
class Syllable(Note):
    """A sung note: a consonant, then a vowel; `glide` adds a portamento from the previous pitch."""

    vowel: str = "a"
    consonant: str = ""
    glide: bool = False


@dataclass(frozen=True)
class Part:
    """One player's notes in one stem.

    `instrument` says what renders it: "sampled" (General MIDI program, or for drums the kit
    program on channel 10), "drum synth" or "voice". `program` is then a preset number (0 to 15) or
    a voice number (0 to 63; modulo 3: male, female, child).
    `role` is what the part plays: "drums", "percussion", "bass", "chords", "pad", "arpeggio",
    "riff", "lead" (a melody, sung or played), "double" or "harmony".
    """

    name: str
    stem: str
    role: str
    instrument: str
    program: int
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class Section:
    """A section of the song, in seconds: "intro", "verse", "chorus", "break", "outro", …"""

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
    """Which properties vary from song to song; all of them by default.

    Switching some off gives the less varied generators that chapter 8 compares.
    """

    styles: bool = True
    timbres: bool = True
    voices: bool = True
    effects: bool = True
    mixes: bool = True


@dataclass(frozen=True)
class Song:
    """A composed song: everything that rendering needs, and the chords and sections.

    tempo in BPM, duration in seconds; held_out: it avoids the sounds of validation songs.
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
