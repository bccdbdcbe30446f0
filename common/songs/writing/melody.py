"""Melodies: repeated and varied motifs, phrases with pauses, lyrics, and additional voices."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from common.songs.random_streams import flip, pick, weighted
from common.songs.writing import theory
from common.songs.writing.form import Event, Plan, Span
from common.songs.writing.lyrics import Lyrics

# Lengths of notes in beats, with weights.
FEELS: dict[str, tuple[tuple[float, float], ...]] = {
    "ballad": ((0.5, 2.0), (1.0, 3.0), (1.5, 1.5), (2.0, 1.2)),
    "pop": ((0.25, 0.4), (0.5, 4.0), (1.0, 2.5), (1.5, 0.8)),
    "syncopated": ((0.25, 1.5), (0.5, 3.0), (0.75, 2.0), (1.0, 1.2), (1.5, 0.5)),
    "rap": ((0.25, 4.0), (0.5, 3.0), (0.75, 0.6)),
    "swing": ((0.5, 3.0), (1.0, 2.5), (1.5, 1.5), (2.0, 0.5)),
    "waltz": ((0.5, 1.5), (1.0, 4.0), (2.0, 2.0)),
}
STEPS = ((0, 2.0), (1, 3.0), (-1, 3.2), (2, 1.3), (-2, 1.3), (3, 0.5), (-3, 0.4), (4, 0.25))
RAP_STEPS = ((0, 5.0), (1, 1.0), (-1, 1.0), (2, 0.3), (-2, 0.3))
UNITS = {1: ("a",), 2: ("ab", "aa", "ab"), 4: ("abab", "aaba", "aabc", "abac", "aaab"),
         8: ("ababcdcb", "aabaaabc", "abacabad")}  # fmt: skip


class Tone(NamedTuple):
    """A note of a motif: onset and length in beats, scale steps from the centre of the range."""

    onset: float
    length: float
    degree: int
    melisma: bool


class MelodyWriter:
    """Writes the melodies of one singer or one lead instrument over the chords."""

    def __init__(
        self,
        plan: Plan,
        rng: np.random.Generator,
        pitch_range: tuple[int, int],
        lyrics: Lyrics | None,
    ) -> None:
        self.plan, self.rng, self.lyrics = plan, rng, lyrics
        self.low, self.high = pitch_range
        self.feel = pick(rng, plan.style.singing) if lyrics else pick(rng, ("pop", "syncopated"))
        if plan.style.beats == 3:
            self.feel = "waltz"
        self.level = rng.uniform(0.36, 0.5)
        self.offbeat = plan.style.syncopation * rng.uniform(0.4, 1.6)
        self.fullness = rng.uniform(0.64, 0.86)
        self.tunes: dict[str, list[list[Tone]]] = {}
        self.words: dict[tuple[str, int], list[tuple[str, str]]] = {}

    def play(self, span: Span) -> list[Event]:
        """Write a section's melody: the same for sections of one name, with changes in repeats."""
        kind = span.name if span.name in ("verse", "chorus", "bridge", "solo") else "chorus"
        if kind not in self.tunes:
            self.tunes[kind] = self._tune(kind, 8 if span.bars >= 8 and flip(self.rng, 0.6) else 4)
        units = self.tunes[kind]
        bars = self._unit_bars()
        events: list[Event] = []
        for index in range(-(-span.bars // bars)):
            motif = units[index % len(units)]
            if span.repeat and kind != "chorus":
                motif = [tone for old in motif for tone in self._split(old)]
            start = self.plan.beat(span.bar + index * bars)
            sung = self._realise(motif, start, kind)
            events += self._put_words(sung, motif, kind, index % len(units), span.repeat)
        limit = self.plan.beat(span.bar + span.bars)
        return [event for event in events if event.start < limit - 0.2]

    def _unit_bars(self) -> int:
        """A phrase takes one bar when bars are long, two when they are short."""
        return 1 if self.plan.style.beats * 60 / self.plan.tempo > 2.5 else 2

    def _tune(self, kind: str, bars: int) -> list[list[Tone]]:
        letters = pick(self.rng, UNITS[bars // self._unit_bars()])
        motifs = {letter: self._motif(kind) for letter in sorted(set(letters))}
        units, seen = [], set()
        for letter in letters:
            motif = motifs[letter]
            if letter in seen:
                motif = self._varied(motif)
            seen.add(letter)
            units.append(motif)
        return units

    def _motif(self, kind: str) -> list[Tone]:
        rng, plan = self.rng, self.plan
        lengths = FEELS[self.feel]
        if kind == "chorus" and self.feel != "rap":
            lengths = tuple((length, weight * length**0.4) for length, weight in lengths)
        mean = sum(a * b for a, b in lengths) / sum(b for _, b in lengths)
        # Keep syllables at a length that can be sung at this tempo.
        pace = mean * 60 / plan.tempo
        stretch = 2 if pace < 0.27 and self.feel != "rap" else 0.5 if pace > 0.72 else 1
        total = self._unit_bars() * plan.style.beats
        onset = weighted(rng, ((0.0, 4.0), (0.5, 2.0), (1.0, 1.5)))
        end = min(round(total * self.fullness * rng.uniform(0.9, 1.1) * 2) / 2, total - 0.5)
        steps = RAP_STEPS if self.feel == "rap" else STEPS
        degree = weighted(rng, ((0, 3.0), (2, 2.0), (4, 1.0), (-1, 1.0), (1, 1.0), (-3, 0.7)))
        tones: list[Tone] = []
        while onset < end - 0.2:
            length = weighted(rng, lengths) * stretch
            if onset % 1 == 0 and flip(rng, self.offbeat):
                # Syncopation: a short note shifts the following ones off the beat.
                length = 0.5 * stretch if self.feel != "rap" else 0.25
            length = min(length, end - onset)
            if end - onset - length < 0.5:
                length = end - onset
            melisma = bool(tones) and flip(rng, 0.0 if self.feel == "rap" else 0.07)
            tones.append(Tone(onset, length, degree, melisma))
            onset += length
            # A bias towards the centre keeps the random walk in range.
            away = 1 if degree > 3 else -1 if degree < -3 else 0
            drift = tuple((s, w * (0.35 if s * away > 0 else 1.0)) for s, w in steps)
            degree = min(max(degree + weighted(rng, drift), -6), 8)
        return tones

    def _varied(self, motif: list[Tone]) -> list[Tone]:
        """Vary a motif: transpose it by one or two steps, or change its ending."""
        rng = self.rng
        shift = weighted(rng, ((0, 4.0), (1, 1.5), (-1, 1.5), (2, 1.0), (-2, 1.0)))
        turn = pick(rng, (-2, -1, 1, 2)) if shift == 0 or flip(rng, 0.5) else 0
        last = len(motif) - pick(rng, (1, 2))
        return [
            tone._replace(degree=tone.degree + shift + (turn if index >= last else 0))
            for index, tone in enumerate(motif)
        ]

    def _split(self, tone: Tone) -> list[Tone]:
        """Sometimes split a note in two, for the additional syllable of new words."""
        if tone.length < 1 or not flip(self.rng, 0.2):
            return [tone]
        half = tone.length / 2
        return [tone._replace(length=half), Tone(tone.onset + half, half, tone.degree, False)]

    def _realise(self, motif: list[Tone], start: float, kind: str) -> list[Event]:
        """Choose pitches for a motif: chord tones on accented notes, scale tones on the others."""
        lift = 0.14 if kind in ("chorus", "bridge") else 0.0
        center = self.low + (self.high - self.low) * (self.level + lift)
        events: list[Event] = []
        for index, tone in enumerate(motif):
            beat = start + tone.onset
            chord = self.plan.chord_at(beat)
            scale = theory.scale_pitches(self.plan.scale, chord.pitch_classes, self.low, self.high)
            home = min(range(len(scale)), key=lambda k: abs(scale[k] - center))
            pitch = scale[min(max(home + tone.degree, 0), len(scale) - 1)]
            # Short notes on the beat may be appoggiaturas; long and final ones may not.
            leans = tone.length < 0.75 and beat % 4 != 0
            heavy = (beat % 2 == 0 and not leans) or tone.length >= 1 or index == len(motif) - 1
            if heavy:
                pitch = theory.nearest(chord.pitch_classes[:4], pitch, self.low, self.high)
            level = 84 + 10 * (beat % 2 == 0) + 6 * (kind == "chorus") + self.rng.uniform(-5, 5)
            length = tone.length * (0.97 if tone.length < 1.5 else 0.92)
            glide = tone.melisma or (bool(events) and abs(pitch - events[-1].pitch) > 4)
            glide = glide and (tone.melisma or flip(self.rng, 0.3))
            events.append(Event(beat, beat + length, pitch, level, "", "", glide))
        return events

    def _put_words(
        self, events: list[Event], motif: list[Tone], kind: str, line: int, repeat: int
    ) -> list[Event]:
        """Assign syllables to notes: choruses repeat their words, each verse has new ones."""
        if self.lyrics is None:
            return events
        key = (kind, line if kind == "chorus" else line + 100 * repeat)
        count = sum(not tone.melisma for tone in motif)
        if len(self.words.get(key, ())) < count:
            self.words[key] = self.lyrics.line(count, hook=kind == "chorus" and line % 2 == 0)
        words = iter(self.words[key])
        sung, syllable = [], ("", "a")
        for event, tone in zip(events, motif, strict=True):
            syllable = ("", syllable[1]) if tone.melisma else next(words)
            sung.append(event._replace(consonant=syllable[0], vowel=syllable[1]))
        return sung

    def ending(self) -> list[Event]:
        """The last note: root, third or fifth of the final chord, held for up to a bar."""
        start = self.plan.beat(self.plan.last)
        chord = self.plan.bars[-1][0]
        center = self.low + (self.high - self.low) * (self.level + 0.1)
        tones = weighted(self.rng, ((chord.pitch_classes[:1], 3.0), (chord.pitch_classes[:3], 1.0)))
        pitch = theory.nearest(tones, center, self.low, self.high)
        end = min(start + self.plan.style.beats, self.plan.end)
        consonant, vowel = self.lyrics.line(1)[0] if self.lyrics else ("", "")
        return [Event(start, end, pitch, 96, vowel, consonant)]


def harmony(plan: Plan, tune: list[Event], interval: int, low: int, high: int) -> list[Event]:
    """A second voice, `interval` scale steps from a melody if that stays in range."""
    options = [_parallel(plan, tune, steps, low, high) for steps in (interval, -2, 2, -5, 4)]
    outside = [sum(not low <= event.pitch <= high for event in voice) for voice in options]
    best = next((k for k, n in enumerate(outside) if n <= len(tune) / 30), int(np.argmin(outside)))
    return [_inside(plan, event, low, high) for event in options[best]]


def _inside(plan: Plan, event: Event, low: int, high: int) -> Event:
    """Replace a note out of range by the nearest chord tone in range: octave shifts would leap."""
    if low <= event.pitch <= high:
        return event
    tones = plan.chord_at(event.start).pitch_classes[:3]
    return event._replace(pitch=theory.nearest(tones, event.pitch, low, high))


def _parallel(plan: Plan, tune: list[Event], steps: int, low: int, high: int) -> list[Event]:
    """Transpose a melody by scale steps, with long notes on chord tones."""
    voices = []
    for event in tune:
        chord = plan.chord_at(event.start)
        scale = theory.scale_pitches(plan.scale, chord.pitch_classes, low - 12, high + 12)
        place = min(range(len(scale)), key=lambda k: abs(scale[k] - event.pitch))
        pitch = scale[min(max(place + steps, 0), len(scale) - 1)]
        if event.end - event.start >= 0.75:
            near = theory.nearest(chord.pitch_classes[:4], pitch, low - 12, high + 12)
            pitch = near if near != event.pitch else pitch
        voices.append(event._replace(pitch=pitch, velocity=event.velocity - 12))
    return voices


def backing(plan: Plan, spans: list[Span], vowel: str, low: int, high: int) -> list[Event]:
    """Long held vowels on chord tones, for backing vocals."""
    events: list[Event] = []
    pitch = (low + high) / 2
    for span in spans:
        for bar in range(span.bar, min(span.bar + span.bars, plan.last)):
            for chord in plan.bars[bar]:
                pitch = theory.nearest(chord.pitch_classes[:3], pitch, low, high)
                length = (chord.end - chord.start) * 0.9
                events.append(Event(chord.start, chord.start + length, pitch, 72, vowel))
    return events


def pauses(plan: Plan, tune: list[Event], spans: list[Span]) -> list[tuple[float, float]]:
    """The rests of a melody in these sections, as (start, end) in beats."""
    gaps = []
    for span in spans:
        begin, end = plan.beat(span.bar), plan.beat(span.bar + span.bars)
        cursor = begin
        for event in tune:
            if begin <= event.start < end:
                gaps.append((cursor, event.start))
                cursor = event.end
        gaps.append((cursor, end))
    return [(start, stop) for start, stop in gaps if stop > start]
