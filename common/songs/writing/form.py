"""Form: the number of bars, the sections, and the chords of every bar."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import NamedTuple

import numpy as np

from common.songs.random_streams import flip, pick
from common.songs.writing import theory
from common.songs.writing.score import Chord
from common.songs.writing.styles import Style

SHORTEST = 4.0
SLOWEST, FASTEST = 70.0, 170.0
LETTERS = {"V": "verse", "C": "chorus", "B": "break", "S": "solo", "R": "bridge"}
FINAL_QUALITIES = {
    "jazz": (("maj7", "6", "maj9"), ("m6", "m9", "m7")),
    "soul": (("maj7", "6", "maj9", ""), ("m7", "m9", "m")),
    "blues": (("7", "9"), ("m7",)),
}
"""Qualities of the final chord in (major, minor) keys; other styles end on a triad."""
SUNG = ("verse", "chorus", "bridge")


class Event(NamedTuple):
    """A note with start and end in beats; sung if it has a vowel."""

    start: float
    end: float
    pitch: float
    velocity: float
    vowel: str = ""
    consonant: str = ""
    glide: bool = False


@dataclass(frozen=True)
class Span:
    """A section in bars; `repeat` counts earlier sections of the same name."""

    name: str
    bar: int
    bars: int
    repeat: int


@dataclass(frozen=True)
class Plan:
    """What all players share: style, tempo in BPM, key, sections, chords (in beats)."""

    style: Style
    tempo: float
    tonic: int
    mode: str
    spans: tuple[Span, ...]
    bars: tuple[tuple[Chord, ...], ...]
    seconds: float

    @property
    def scale(self) -> tuple[int, ...]:
        """The pitch classes of the key."""
        return tuple((self.tonic + step) % 12 for step in theory.MODES[self.mode])

    @property
    def last(self) -> int:
        """The index of the final bar, which holds the last chord."""
        return len(self.bars) - 1

    @property
    def end(self) -> float:
        """The beat by which every note has ended."""
        return (self.seconds - tail(self.seconds)) * self.tempo / 60

    @cached_property
    def chords(self) -> tuple[Chord, ...]:
        """All chords in order."""
        return tuple(chord for bar in self.bars for chord in bar)

    @cached_property
    def _starts(self) -> list[float]:
        return [chord.start for chord in self.chords]

    def chord_at(self, beat: float) -> Chord:
        """The chord that sounds on a beat."""
        return self.chords[max(bisect_right(self._starts, beat + 1e-6) - 1, 0)]

    def beat(self, bar: int) -> float:
        """The beat on which a bar starts."""
        return float(bar * self.style.beats)


def tail(seconds: float) -> float:
    """Seconds between the end of the last note and the end of the song, for the reverb tail."""
    return min(1.2, 0.15 * seconds)


def measure(
    style: Style, rng: np.random.Generator, seconds: float, tempo: float | None = None
) -> tuple[float, int]:
    """Return the tempo in BPM and the number of bars that fill the song up to its tail.

    A tempo drawn from the style is adjusted so that whole bars fill the time; a given one is kept
    if two bars fit.
    ValueError if seconds is below 4.
    """
    if not seconds >= SHORTEST:
        raise ValueError(f"a song needs at least {SHORTEST:g} seconds, not {seconds:g}")
    music = seconds - tail(seconds)
    wanted = rng.uniform(*style.tempo) if tempo is None else tempo
    bars = music * wanted / 60 / style.beats
    if tempo is not None and bars >= 2:
        return tempo, int(bars + 1e-9)
    fits = [(n * style.beats * 60 / music, n) for n in range(max(int(bars) - 1, 2), int(bars) + 4)]
    allowed = [fit for fit in fits if SLOWEST <= fit[0] <= FASTEST] or fits[:1]
    return min(allowed, key=lambda fit: abs(np.log(fit[0] / wanted)))


def form(rng: np.random.Generator, style: Style, bars: int) -> tuple[Span, ...]:
    """Divide the bars into sections; the last bar always belongs to the outro."""
    short = {2: "V1", 3: "V2", 4: "V2C1", 5: "V2C2", 6: "I1V2C2", 7: "I2V2C2", 8: "I1V4C2"}
    if bars in short:
        text = short[bars] + "O1"
        pieces = [(text[k], int(text[k + 1])) for k in range(0, len(text), 2)]
    else:
        pieces = _pieces(rng, style, bars)
    names = {**LETTERS, "I": "intro", "O": "outro"}
    spans, bar, repeats = [], 0, {}
    for letter, length in pieces:
        repeat = repeats.get(letter, 0)
        spans.append(Span(names[letter], bar, length, repeat))
        repeats[letter] = repeat + 1
        bar += length
    return tuple(spans)


def _pieces(rng: np.random.Generator, style: Style, bars: int) -> list[tuple[str, int]]:
    """Blocks of bars in the style's order; remaining bars become intro, break and outro."""
    blocks, rest = divmod(bars - 1, 4)
    # Long songs have longer sections rather than more sections.
    unit = 1 if blocks <= 8 else 2 if blocks <= 24 else 4
    count, odd = divmod(blocks, unit)
    letters = pick(rng, style.forms)
    while len(letters) < count:
        letters += letters[-3:] if flip(rng, 0.5) else letters[:4]
    body = [*letters[: count - 1], "C"]
    if "V" not in body:
        body[0] = "V"
    pieces = [(letter, 4 * unit) for letter in body]
    if odd:
        pieces.insert(count * 2 // 3, (pick(rng, "BSR"), 4 * odd))
    outro = 1
    if rest == 0 and blocks >= 4 and flip(rng, 0.7):
        # Part of the first section becomes the intro.
        letter, length = pieces.pop(0)
        if length > 4:
            pieces.insert(0, (letter, length - 4))
        if all(letter != "V" for letter, _ in pieces):
            pieces[0] = ("V", pieces[0][1])
        rest = 4
    if rest >= 3 and flip(rng, 0.4):
        outro, rest = outro + 1, rest - 1
    middle = 0
    if rest >= 2 and blocks >= 2 and flip(rng, 0.35):
        middle = 1 if rest == 2 else 2
        rest -= middle
        pieces.insert(pick(rng, range(1, len(pieces))), ("B", middle))
    if rest == 1 and flip(rng, 0.4):
        outro, rest = outro + 1, 0
    if pieces[0][0] in "BS":
        # An instrumental section at the start of a song is its intro.
        pieces[0] = ("I", pieces[0][1])
    if rest:
        pieces.insert(0, ("I", rest))
    # Merge consecutive intros and breaks.
    joined: list[tuple[str, int]] = []
    for letter, group in groupby(pieces, key=lambda piece: piece[0]):
        lengths = [length for _, length in group]
        joined += [(letter, sum(lengths))] if letter in "IB" else [(letter, n) for n in lengths]
    return [*joined, ("O", outro)]


def harmonise(
    rng: np.random.Generator, style: Style, tonic: int, mode: str, spans: tuple[Span, ...]
) -> tuple[tuple[Chord, ...], ...]:
    """Chords for every bar: one progression per kind of section, a cadence at the end."""
    draw = lambda: theory.progression(rng, style.harmony, mode, style.invent)  # noqa: E731
    verse, chorus, bridge = draw(), draw(), draw()
    while chorus == verse and not flip(rng, 0.2):
        chorus = draw()
    kinds = {"verse": verse, "chorus": chorus, "bridge": bridge, "solo": verse, "outro": chorus}
    kinds["intro"] = pick(rng, (verse, chorus))
    kinds["break"] = pick(rng, (verse, chorus, bridge))
    minor = 3 in theory.MODES[mode]
    home = (0, pick(rng, FINAL_QUALITIES.get(style.harmony, (("",), ("m",)))[minor]))
    bars = []
    for span in spans:
        progression = kinds[span.name]
        for index in range(span.bars):
            bars.append(progression[index % len(progression)])
    bars[-1] = [home]
    if len(bars) > 2 and bars[-2][-1][0] in (0, home[0]):
        bars[-2] = [pick(rng, _cadences(style, minor, mode))]
    written = []
    for index, bar in enumerate(bars):
        width = style.beats / len(bar)
        begin = index * style.beats
        written.append(
            tuple(
                theory.chord(tonic, mode, *numeral, begin + k * width, begin + (k + 1) * width)
                for k, numeral in enumerate(bar)
            )
        )
    return tuple(written)


def _cadences(style: Style, minor: bool, mode: str) -> list[tuple[int, str]]:
    """Chords that lead to the tonic in this mode."""
    if style.harmony in ("jazz", "soul", "latin"):
        return [(7, "7"), (7, "7b9" if minor else "9")]
    if mode == "phrygian":
        return [(1, "")]
    if mode in ("mixolydian", "dorian", "minor"):
        return [(10, ""), (5, "m" if mode == "minor" else ""), (7, "m")]
    return [(7, ""), (7, "sus4"), (5, "m" if minor else "")]
