"""Bass lines: patterns over the roots, lines that follow the kick, walking bass."""

from __future__ import annotations

import numpy as np

from common.songs.random_streams import flip, pick, weighted
from common.songs.writing import theory
from common.songs.writing.form import Event, Plan, Span
from common.songs.writing.grooves import BASS
from common.songs.writing.score import Chord

LOWEST, HIGHEST = 28, 52


class Bassist:
    """Plays the bass part over the plan's chords."""

    def __init__(self, plan: Plan, rng: np.random.Generator) -> None:
        self.plan, self.rng = plan, rng
        # The lowest root: some songs have a lower bass than others.
        self.lowest = weighted(rng, ((28, 3.0), (30, 2.0), (33, 1.5)))
        verse = pick(rng, plan.style.bass)
        chorus = pick(rng, plan.style.bass) if flip(rng, 0.5) else verse
        self.lines = {"verse": verse, "chorus": chorus}
        self.changed = {
            name: self._mutate(BASS[name]) for name in sorted({verse, chorus}) if name in BASS
        }

    def _mutate(self, line: str) -> str:
        """Vary a pattern for this song: a few notes off the beat change."""
        tokens = list(line)
        for step, token in enumerate(tokens):
            if token in "R58" and step % 4 and flip(self.rng, 0.15):
                tokens[step] = pick(self.rng, "R587d.")
            elif token == "." and step % 4 == 3 and flip(self.rng, 0.08):
                tokens[step] = "d"
        return "".join(tokens)

    def play(self, span: Span, kicks: list[int]) -> list[Event]:
        """Play one section; `kicks` are the steps of the kick drum in its groove."""
        name = self.lines["chorus" if span.name in ("chorus", "solo", "outro") else "verse"]
        events: list[Event] = []
        for bar in range(span.bar, span.bar + span.bars):
            if bar == self.plan.last:
                continue
            if name == "walking":
                events += self._walk(bar)
                continue
            line = self._follow(kicks) if name == "kick" else self.changed[name]
            if bar % 4 == 3 and flip(self.rng, 0.5) and self.plan.style.beats == 4:
                # Every fourth bar may end with a run into the next bar.
                line = line[:12] + pick(self.rng, ("R-A-", "5-A-", "3-5A", "8-7A", "R.5A"))
            events += self._pattern(bar, line)
        return events

    def _follow(self, kicks: list[int]) -> str:
        tokens = ["-"] * self.plan.style.beats * 4
        for index, step in enumerate(kicks):
            tokens[step] = "R" if index == 0 or step % 8 == 0 or flip(self.rng, 0.7) else "8"
        tokens[0] = "R"
        if flip(self.rng, 0.4):
            tokens[-2] = "A"
        return "".join(tokens)

    def _root(self, chord: Chord) -> int:
        return self.lowest + (chord.root - self.lowest) % 12

    def _pitch(self, token: str, chord: Chord, follower: Chord) -> int:
        root, tones = self._root(chord), chord.pitch_classes
        if token == "N":
            return self._root(follower)
        if token == "A":
            goal = self._root(follower)
            scale = theory.scale_pitches(
                self.plan.scale, follower.pitch_classes, goal - 2, goal + 2
            )
            near = [pitch for pitch in (*scale, goal - 1) if pitch != goal]
            return max(pick(self.rng, near), LOWEST)
        degrees = {"R": 0, "d": 0, "8": 12, "3": (tones[1] - tones[0]) % 12}
        degrees["5"] = (tones[2] - tones[0]) % 12
        sevenths = [(tone - tones[0]) % 12 for tone in tones[3:] if (tone - tones[0]) % 12 > 8]
        degrees["7"] = sevenths[0] if sevenths else 10 if degrees["3"] == 3 else 12
        degrees["6"] = 9 if degrees["3"] == 4 else degrees["5"]
        pitch = root + degrees[token]
        return pitch if pitch <= HIGHEST else pitch - 12

    def _pattern(self, bar: int, line: str) -> list[Event]:
        plan, events = self.plan, []
        start = plan.beat(bar)
        for step, token in enumerate(line):
            beat = start + step / 4
            chord = plan.chord_at(beat)
            if token == "-" and step and chord.start == beat and chord.root != events_root(events):
                # Play the new root if the chord changes under a held note.
                token = "R"
            if token in "-.":
                continue
            held = 1
            while step + held < len(line) and line[step + held] == "-":
                if plan.chord_at(beat + held / 4) is not chord:
                    break
                held += 1
            if token == "R" and step == 0 and bar % 4 in (1, 2) and flip(self.rng, 0.06):
                token = "3"
            pitch = self._pitch(token, chord, plan.chord_at(beat + held / 4))
            length = 0.11 if token == "d" else held / 4 * (0.95 if held > 1 else 0.85)
            level = 58 if token == "d" else 104 if step == 0 else 94 if step % 4 == 0 else 86
            events.append(Event(beat, beat + length, pitch, level))
        return events

    def _walk(self, bar: int) -> list[Event]:
        """Quarter notes: the root, then chord and scale tones towards the next root."""
        plan, rng, events = self.plan, self.rng, []
        for beat in range(plan.style.beats):
            start = plan.beat(bar) + beat
            chord, follower = plan.chord_at(start), plan.chord_at(start + 1)
            goal = self._root(follower)
            if chord.start == start or beat == 0:
                pitch = self._root(chord)
            elif follower is not chord or beat == plan.style.beats - 1:
                pitch = goal + pick(rng, (-1, 1, -2, 2, 7))
            else:
                steps = theory.scale_pitches(plan.scale, chord.pitch_classes, LOWEST, HIGHEST)
                previous = events[-1].pitch
                near = [p for p in steps if p != previous and abs(p - previous) <= 5]
                tones = [p for p in near if p % 12 in chord.pitch_classes]
                pitch = pick(rng, tones if tones and flip(rng, 0.6) else near)
            pitch = min(max(pitch, LOWEST), HIGHEST)
            events.append(Event(start, start + 0.92, pitch, 98 if beat % 2 else 90))
            if flip(rng, 0.12):
                events[-1] = events[-1]._replace(end=start + 0.45)
                events.append(Event(start + 0.5, start + 0.8, pitch, 66))
        return events

    def ending(self) -> list[Event]:
        """The last root, held until the end."""
        start = self.plan.beat(self.plan.last)
        return [Event(start, self.plan.end, self._root(self.plan.bars[-1][0]), 104)]


def events_root(events: list[Event]) -> int:
    """The pitch class of the last event, or -1 if there is none."""
    return int(events[-1].pitch) % 12 if events else -1
