"""Drums: a groove per section, small variations per bar, fills, crashes, and percussion."""

from __future__ import annotations

import numpy as np

from common.songs.random_streams import flip, pick, weighted
from common.songs.writing.form import Event, Plan, Span
from common.songs.writing.grooves import DRUMS, PERCUSSION

PITCHES = {"K": 36, "S": 38, "R": 37, "C": 39, "H": 42, "P": 44, "O": 46, "D": 51, "B": 53}
LEVELS = {"X": 112, "x": 92, "o": 52}
CRASHES = (49, 57)
TOMS = (50, 48, 47, 45, 43, 41)
FILL_STEPS = (
    "x.x.x.x.", "xxxxxxxx", "x..x..x.", "..x.x.xx", "x.xxx.xx", "xx.xx.xx", "....xxxx", "x...x.x.",
)  # fmt: skip

Hits = list[tuple[int, int, int]]
"""Hits of one bar: (sixteenth step, pitch, velocity)."""


def _bar(rng: np.random.Generator, lines: dict[int, str], steps: int) -> Hits:
    """One bar of a pattern; its optional hits are drawn once per song."""
    hits = []
    for pitch, line in lines.items():
        for step, mark in enumerate(line[:steps]):
            if mark == "?":
                mark = "o" if flip(rng, 0.5) else "."
            if mark != ".":
                hits.append((step, pitch, LEVELS[mark]))
    return hits


class Drummer:
    """Plays the drum part; its grooves are fixed per song, so that the bass can follow the kick."""

    def __init__(self, plan: Plan, rng: np.random.Generator) -> None:
        self.plan, self.rng, self.steps = plan, rng, plan.style.beats * 4
        verse = pick(rng, plan.style.grooves)
        chorus = pick(rng, plan.style.grooves) if flip(rng, 0.6) else verse
        self.grooves = {"verse": self._groove(verse), "chorus": self._groove(chorus)}
        if chorus == verse or flip(rng, 0.3):
            self.grooves["chorus"] = self._lifted(self.grooves["chorus"])
        self.crash = pick(rng, CRASHES)
        self.fill_style = pick(rng, ("toms", "snare", "mixed"))

    def _groove(self, name: str) -> Hits:
        lines = {PITCHES[instrument]: line for instrument, line in DRUMS[name].items()}
        return _bar(self.rng, lines, self.steps)

    def _lifted(self, groove: Hits) -> Hits:
        """A brighter groove for the chorus: ride or open hi-hat instead of the closed one."""
        bright = PITCHES[weighted(self.rng, (("D", 2.0), ("O", 1.0)))]
        lifted = []
        for step, pitch, velocity in groove:
            if pitch == PITCHES["H"]:
                if bright == PITCHES["O"] and step % 4:
                    continue
                pitch = bright
            lifted.append((step, pitch, velocity))
        return lifted

    def hits(self, section: str) -> Hits:
        """The groove of a section."""
        return self.grooves["chorus" if section in ("chorus", "solo", "outro") else "verse"]

    def kicks(self, section: str) -> list[int]:
        """The steps of the kick in a section's groove."""
        return sorted(step for step, pitch, _ in self.hits(section) if pitch == PITCHES["K"])

    def play(self, span: Span, modes: dict[int, str]) -> list[Event]:
        """Play one section; `modes`: bar → "hats" or "kick" if the drums are reduced there."""
        events: list[Event] = []
        fill_beats = weighted(self.rng, ((1, 2.0), (2, 3.0), (self.plan.style.beats, 1.5)))
        for bar in range(span.bar, span.bar + span.bars):
            mode = modes.get(bar, "full")
            start = self.plan.beat(bar)
            hits = self._vary(self.hits(span.name), mode, bar)
            final = bar == span.bar + span.bars - 1
            halfway = (bar - span.bar) % 4 == 3 and not final
            if mode == "full" and (
                (final and flip(self.rng, 0.85)) or (halfway and flip(self.rng, 0.3))
            ):
                beats = fill_beats if final else 1
                limit = self.steps - beats * 4
                hits = [hit for hit in hits if hit[0] < limit] + self._fill(limit, beats)
            if bar == span.bar and mode == "full" and bar and flip(self.rng, 0.8):
                hits = [hit for hit in hits if hit[0] or hit[1] in (35, 36)]
                hits += [(0, self.crash, 108)]
            events += [
                Event(start + step / 4, start + step / 4 + 0.22, pitch, velocity)
                for step, pitch, velocity in hits
            ]
        return events

    def _vary(self, groove: Hits, mode: str, bar: int) -> Hits:
        """Reduce the groove by its mode, or add an occasional kick and ghost note."""
        if mode == "hats":
            return [hit for hit in groove if hit[1] in (42, 44, 46, 51, 53)]
        if mode == "kick":
            return [hit for hit in groove if hit[1] in (36, 42, 44)]
        extra = []
        taken = {step for step, pitch, _ in groove if pitch in (36, 38)}
        free = [step for step in range(3, self.steps) if step not in taken and step % 4]
        if bar % 2 and free and flip(self.rng, 0.25):
            extra.append((pick(self.rng, free), 36, 84))
        if free and self.plan.style.human > 3 and flip(self.rng, 0.2):
            extra.append((pick(self.rng, free), 38, 40))
        return groove + extra

    def _fill(self, first: int, beats: int) -> Hits:
        """A fill over snare and toms that gets louder towards the next bar."""
        rng, hits = self.rng, []
        pattern = (pick(rng, FILL_STEPS) + pick(rng, FILL_STEPS))[: beats * 4]
        if beats == 1:
            pattern = pick(rng, ("xxxx", "x.xx", "..xx", "xx.x"))
        for step, mark in enumerate(pattern):
            if mark == ".":
                continue
            share = step / len(pattern)
            tom = TOMS[min(int(share * len(TOMS) + rng.random()), len(TOMS) - 1)]
            drum = {"toms": tom, "snare": 38, "mixed": tom if share >= 0.5 else 38}[self.fill_style]
            hits.append((first + step, drum, int(80 + 34 * share)))
            if step % 4 == 0:
                hits.append((first + step, 36, 92))
        return hits

    def ending(self) -> list[Event]:
        """Crash and kick on the final downbeat."""
        start = self.plan.beat(self.plan.last)
        return [Event(start, start + 0.4, 36, 112), Event(start, start + 2.0, self.crash, 112)]


def percussion(plan: Plan, rng: np.random.Generator, kind: str) -> list[Event]:
    """Write a percussion part for the whole song; the arrangement removes bars later."""
    steps = plan.style.beats * 4
    hits = _bar(rng, dict(PERCUSSION[kind]), steps)
    return [
        Event(plan.beat(bar) + step / 4, plan.beat(bar) + step / 4 + 0.2, pitch, velocity * 0.85)
        for bar in range(plan.last)
        for step, pitch, velocity in hits
    ]
