"""Timing of syllables: consonants, bursts and vowels, and phrases between pauses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from common.songs.sound.formants import CONSONANTS, Consonant
from common.songs.sound.voices import Voice
from common.songs.writing.score import CONSONANTS as SPELLINGS
from common.songs.writing.score import VOWELS, Syllable

PAUSE = 0.25
"""A longer rest, in seconds, starts a new phrase."""


@dataclass(frozen=True)
class Sung:
    """A syllable and the times of its parts in seconds; `voice` is the start of the vowel."""

    note: Syllable
    consonant: Consonant | None
    onset: float
    burst: float
    voice: float
    end: float


def audible_notes(notes: Sequence[Syllable], duration: float) -> list[Syllable]:
    """The notes of positive length that start in the first `duration` seconds.

    ValueError for a negative duration, or an unknown vowel or consonant.
    """
    if duration < 0:
        raise ValueError(f"the duration must be 0 s or more, not {duration}")
    for note in notes:
        if note.vowel not in VOWELS or note.consonant not in SPELLINGS:
            raise ValueError(f"unknown syllable {note.consonant!r} + {note.vowel!r}")
    return [note for note in notes if 0 <= note.start < duration and note.end > note.start]


def phrases(notes: Sequence[Syllable], voice: Voice) -> list[list[Sung]]:
    """Time the parts of all syllables; a rest longer than PAUSE starts a new phrase.

    A consonant starts before its note, so that the vowel starts on the beat; it is shorter after a
    short note.
    """
    ordered = sorted(notes, key=lambda note: note.start)
    groups: list[list[Sung]] = []
    for i, note in enumerate(ordered):
        consonant = CONSONANTS[note.consonant] if note.consonant else None
        before = ordered[i - 1] if i else None
        room = note.start if before is None else 0.5 * (note.start - before.start)
        onset = voiced = burst = note.start
        if consonant is not None:
            length, lead = consonant.length * voice.crispness, consonant.lead * voice.crispness
            pace = min(1.0, max(room / lead, 0.4), 0.6 * (note.end - note.start) / length)
            onset = max(note.start - lead * pace, 0.0)
            burst = onset + consonant.closure * voice.crispness * pace
            voiced = onset + length * pace
        end = max(note.end, voiced + 0.03)
        sung = Sung(note, consonant, onset, burst, voiced, end)
        if before is None or note.start - before.end > PAUSE:
            groups.append([sung])
            continue
        last = groups[-1][-1]
        # Legato: a note that reaches the next one lasts until the next syllable's onset.
        reach = onset if before.end > onset - 0.03 else last.end
        groups[-1][-1] = Sung(
            last.note, last.consonant, last.onset, last.burst, last.voice, max(reach, last.voice)
        )
        groups[-1].append(sung)
    return groups
