"""Performance: convert events in beats to notes in seconds, with swing and humanised timing."""

from __future__ import annotations

import numpy as np

from common.songs.writing.arrange import Player
from common.songs.writing.form import Event, Plan, tail
from common.songs.writing.score import Note, Part, Syllable

SHORTEST = 0.03
ENERGY = {"intro": 0.85, "verse": 0.9, "break": 0.82, "bridge": 0.9}
"""Factors on the velocity in these sections, relative to choruses and solos."""


class Clock:
    """Maps beats to seconds in one song: tempo, and the same swing for every player."""

    def __init__(self, plan: Plan, rng: np.random.Generator) -> None:
        self.plan = plan
        self.swing = rng.uniform(*plan.style.swing)

    def seconds(self, beats: np.ndarray) -> np.ndarray:
        """Convert beats to seconds; the first half of each pair takes the share `swing` of it."""
        pair = self.plan.style.pair
        whole, part = np.divmod(beats / pair, 1.0)
        late = self.swing + (part - 0.5) * 2 * (1 - self.swing)
        swung = whole + np.where(part < 0.5, part * 2 * self.swing, late)
        return swung * pair * 60 / self.plan.tempo


def perform(
    plan: Plan, clock: Clock, player: Player, events: list[Event], on: set[int],
    rng: np.random.Generator,
) -> Part:  # fmt: skip
    """Convert events to a part, cut to the player's bars, with one note per key at a time."""
    beats = plan.style.beats
    kept = []
    for event in events:
        bar = int((event.start + 1e-6) // beats)
        if bar in on and 0 <= bar <= plan.last:
            kept.append(event._replace(end=_stop(event.end, bar, beats, on)))
    kept.sort(key=lambda event: (event.start, event.pitch))
    if not kept:
        return Part(player.name, player.stem, player.role, player.instrument, player.program, ())
    starts = clock.seconds(np.array([event.start for event in kept]))
    ends = clock.seconds(np.array([event.end for event in kept]))
    spread = plan.style.human / 1000 * (0.6 if player.stem == "drums" else 1.0)
    # The notes of a chord share most of their timing shift.
    shifts = rng.normal(0, spread, len(kept))
    for k in range(1, len(kept)):
        if kept[k].start - kept[k - 1].start < 0.03:
            shifts[k] = shifts[k - 1] + rng.normal(0, spread / 4)
    if player.role == "double":
        shifts += rng.uniform(0.012, 0.035)
    limit = plan.seconds - tail(plan.seconds)
    starts = np.clip(starts + shifts, 0.0, limit - SHORTEST)
    ends = np.clip(np.maximum(ends + shifts / 2, starts + SHORTEST), None, limit)
    energy = np.array([_energy(plan, event.start) for event in kept])
    velocities = np.array([event.velocity for event in kept]) * energy
    velocities += rng.normal(0, 1.5 if spread < 0.003 else 4.0, len(kept))
    velocities = np.clip(np.round(velocities), 8, 127).astype(int)
    single = player.role in ("bass", "riff", "lead", "double", "harmony")
    notes = _tidy(kept, starts.tolist(), ends.tolist(), velocities.tolist(), single)
    return Part(player.name, player.stem, player.role, player.instrument, player.program, notes)


def _stop(end: float, bar: int, beats: int, on: set[int]) -> float:
    """Cut an event's end at the first bar line after which its player is silent."""
    while (bar + 1) * beats < end:
        bar += 1
        if bar not in on:
            return float(bar * beats)
    return end


def _energy(plan: Plan, beat: float) -> float:
    bar = beat / plan.style.beats
    name = next(span.name for span in reversed(plan.spans) if span.bar <= bar + 1e-6)
    return ENERGY.get(name, 1.0)


def _tidy(
    events: list[Event], starts: list[float], ends: list[float], velocities: list[int], single: bool
) -> tuple[Note, ...]:
    """Notes in order of onset; a key is released before it is struck again."""
    order = sorted(range(len(events)), key=lambda k: starts[k])
    following: dict[float, float] = {}
    notes: list[Note] = []
    for k in reversed(order):
        event, start, end = events[k], starts[k], ends[k]
        key = 0.0 if single else event.pitch
        end = min(end, following.get(key, end))
        if end - start < SHORTEST:
            continue
        following[key] = start
        if event.vowel:
            notes.append(Syllable(start, end, float(event.pitch), velocities[k], event.vowel,
                                  event.consonant, event.glide))  # fmt: skip
        else:
            notes.append(Note(start, end, float(event.pitch), velocities[k]))
    return tuple(reversed(notes))
