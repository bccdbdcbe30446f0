"""Parts of the stem `other`: chord rhythms, pads, arpeggios, riffs and fills."""

from __future__ import annotations

import numpy as np

from common.songs.random_streams import flip, pick, weighted
from common.songs.writing import theory
from common.songs.writing.form import Event, Plan
from common.songs.writing.grooves import CHORDS
from common.songs.writing.score import Chord

LEVELS = {"X": 98, "x": 84, "o": 58}
RIFF_LENGTHS = ((1, 2.0), (2, 4.0), (3, 1.5), (4, 1.5), (6, 0.7))
RIFF_STEPS = ((0, 1.5), (1, 2.0), (-1, 2.0), (2, 1.2), (-2, 1.2), (3, 0.4), (-4, 0.3))
ORDERS = ((0, 1, 2, 1), (0, 1, 2, 3), (2, 1, 0, 1), (0, 2, 1, 2), (3, 2, 1, 0), (0, 1, 2, 3, 2, 1),
          (0, 2, 3))  # fmt: skip
MONTUNO = "x.xx.x.x.x.x.xx."


def _voicings(
    plan: Plan, low: int, high: int, power: bool = False
) -> dict[Chord, tuple[int, ...]]:
    """A voicing per chord with smooth voice leading; power chords are root, fifth, octave."""
    voiced: dict[Chord, tuple[int, ...]] = {}
    previous: tuple[int, ...] = ()
    for chord in plan.chords:
        if power:
            root = low + (chord.root - low) % 12
            previous = (root, root + (chord.pitch_classes[2] - chord.root) % 12, root + 12)
        else:
            previous = theory.voicing(chord.pitch_classes, previous, low, high)
        voiced[chord] = previous
    return voiced


def chords(
    plan: Plan, rng: np.random.Generator, rhythm: str, low: int, high: int, kind: str
) -> list[Event]:
    """Comping: voice-led chords in a rhythm; `kind` is "power", "strum" or "keys"."""
    line = CHORDS[rhythm]
    other = line
    if flip(rng, 0.5):
        # Every other bar omits one hit off the beat.
        weak = [step for step, mark in enumerate(line) if mark in "xXo" and step % 4]
        if weak:
            step = pick(rng, weak)
            other = line[:step] + ("-" if line[step - 1] != "." else ".") + line[step + 1 :]
    voiced = _voicings(plan, low, high, kind == "power")
    spread = 0.022 if kind == "strum" else 0.0
    events: list[Event] = []
    for bar in range(plan.last):
        pattern = other if bar % 2 else line
        for step, mark in enumerate(pattern):
            beat = plan.beat(bar) + step / 4
            chord = plan.chord_at(beat)
            if mark == "-" and chord.start == beat and step:
                mark = "x"
            if mark in "-.":
                continue
            held = 1
            while step + held < len(pattern) and pattern[step + held] == "-":
                if plan.chord_at(beat + held / 4) is not chord:
                    break
                held += 1
            length = held / 4 * (0.96 if held > 1 else 0.7)
            pitches = voiced[chord] if step % 8 < 4 or spread == 0 else voiced[chord][::-1]
            for index, pitch in enumerate(pitches[:2] if mark == "o" and spread else pitches):
                start = beat + index * spread
                events.append(Event(start, beat + length, pitch, LEVELS[mark] - 3 * index))
    return events + _ending(plan, voiced[plan.chords[-1]], 96, spread or 0.03)


def _ending(plan: Plan, pitches: tuple[int, ...], velocity: float, spread: float) -> list[Event]:
    """The final chord, `spread` beats between its notes, held until the end."""
    start = plan.beat(plan.last)
    return [
        Event(start + index * spread, plan.end, pitch, velocity)
        for index, pitch in enumerate(pitches)
    ]


def pad(plan: Plan, rng: np.random.Generator, low: int, high: int) -> list[Event]:
    """Held chords; in half of the songs, tones shared by consecutive chords are tied."""
    smooth = flip(rng, 0.5)
    voiced = _voicings(plan, low, high)
    sounding: dict[int, Event] = {}
    events: list[Event] = []
    for chord in plan.chords:
        kept = {}
        for pitch in voiced[chord]:
            tied = sounding.get(pitch)
            fresh = tied is None or not smooth or chord.start - tied.start >= plan.style.beats * 2
            if fresh:
                kept[pitch] = Event(chord.start, chord.end, pitch, 74)
            else:
                kept[pitch] = tied._replace(end=chord.end)
        events += [
            event
            for pitch, event in sounding.items()
            if kept.get(pitch) is None or kept[pitch].start != event.start
        ]
        sounding = kept
    final = plan.beat(plan.last)
    events += [event for event in sounding.values() if event.start < final]
    held = [event._replace(end=min(event.end, final)) for event in events if event.start < final]
    return held + _ending(plan, voiced[plan.chords[-1]], 78, 0.0)


def arpeggio(plan: Plan, rng: np.random.Generator, rhythm: str, low: int, high: int) -> list[Event]:
    """Broken chords in eighths ("8"), sixteenths ("16"), or the syncopated octaves of "montuno"."""
    voiced = _voicings(plan, low, min(high, low + 18))
    steps = plan.style.beats * 4
    grid = 1 if rhythm == "16" and plan.tempo < 135 else 2
    mask = [flip(rng, 0.88) or step == 0 for step in range(0, steps, grid)]
    if rhythm == "montuno":
        grid, mask = 1, [mark == "x" for mark in MONTUNO]
    order = pick(rng, ORDERS) if flip(rng, 0.8) else tuple(int(rng.random() * 5) for _ in range(8))
    events: list[Event] = []
    for bar in range(plan.last):
        count = 0
        for index in range(steps // grid):
            if not mask[index]:
                continue
            beat = plan.beat(bar) + index * grid / 4
            tones = voiced[plan.chord_at(beat)]
            place = order[count % len(order)]
            pitch = tones[place % len(tones)] + 12 * (place // len(tones))
            pitches = (pitch, pitch + 12) if rhythm == "montuno" else (pitch,)
            level = 88 if index * grid % 4 == 0 else 74
            end = beat + grid / 4 * 1.1
            events += [Event(beat, end, p, level) for p in pitches if p <= high + 12]
            count += 1
    return events + _ending(plan, voiced[plan.chords[-1]], 84, 0.12)


def riff(plan: Plan, rng: np.random.Generator, low: int, high: int) -> list[Event]:
    """A figure of one or two bars, repeated through the song and adapted to each chord."""
    steps = plan.style.beats * 4
    bars = weighted(rng, ((1, 1.0), (2, 2.0)))
    lengths = RIFF_LENGTHS if plan.tempo < 120 else RIFF_LENGTHS[1:]
    figure: list[tuple[int, int, int]] = []
    step, degree = weighted(rng, ((0, 4.0), (2, 1.5), (4, 0.7))), pick(rng, (0, 0, 2, 4))
    limit = bars * steps - weighted(rng, ((0, 2.0), (4, 2.0), (8, 1.0)))
    while step < limit:
        length = min(weighted(rng, lengths), bars * steps - step)
        if figure and flip(rng, 0.22):
            step += length
            continue
        figure.append((step, length, degree))
        degree += weighted(rng, RIFF_STEPS)
        degree = min(max(degree, -4), 7)
        step += length
    pentatonic = flip(rng, 0.6)
    staccato = flip(rng, 0.4)
    center = low + (high - low) * 0.4
    events: list[Event] = []
    for bar in range(0, plan.last, bars):
        for step, length, degree in figure:
            start = plan.beat(bar) + step / 4
            if start >= plan.beat(plan.last):
                break
            chord = plan.chord_at(start)
            scale = theory.scale_pitches(plan.scale, chord.pitch_classes, low, high)
            if pentatonic:
                scale = _pentatonic(plan, chord, low, high)
            home = min(range(len(scale)), key=lambda k: abs(scale[k] - center))
            pitch = scale[min(max(home + degree, 0), len(scale) - 1)]
            if step % 8 == 0:
                pitch = theory.nearest(chord.pitch_classes, pitch, low, high)
            held = 0.18 if staccato and length < 4 else length / 4 * 0.93
            events.append(Event(start, start + held, pitch, 96 if step % 4 == 0 else 84))
    tonic = theory.nearest((plan.tonic,), center, low, high)
    return events + _ending(plan, (tonic,), 92, 0.0)


def _pentatonic(plan: Plan, chord: Chord, low: int, high: int) -> tuple[int, ...]:
    """The key's pentatonic scale together with the tones of the chord."""
    steps = (0, 3, 5, 7, 10) if 3 in theory.MODES[plan.mode] else (0, 2, 4, 7, 9)
    five = tuple((plan.tonic + step) % 12 for step in steps)
    return theory.scale_pitches(five, chord.pitch_classes[:3], low, high)


def fills(
    plan: Plan,
    rng: np.random.Generator,
    gaps: list[tuple[float, float]],
    low: int,
    high: int,
    chance: float,
) -> list[Event]:
    """Fills of the lead instrument in the singer's pauses; `gaps`: (start, end) in beats."""
    events: list[Event] = []
    for begin, end in gaps:
        if end - begin < 1.5 or not flip(rng, chance):
            continue
        grid = 0.25 if plan.tempo < 110 and flip(rng, 0.5) else 0.5
        beat = np.ceil((begin + 0.25) / 0.5) * 0.5
        place, step = low + (high - low) * rng.uniform(0.4, 0.8), pick(rng, (-1, 1))
        while beat < end - grid:
            chord = plan.chord_at(float(beat))
            scale = theory.scale_pitches(plan.scale, chord.pitch_classes, low, high)
            index = min(range(len(scale)), key=lambda k: abs(scale[k] - place))
            place = scale[min(max(index + step, 0), len(scale) - 1)]
            if flip(rng, 0.25):
                step = pick(rng, (-2, -1, 1, 2))
            length = grid * weighted(rng, ((1, 3.0), (2, 1.0)))
            events.append(Event(float(beat), float(beat + length * 0.92), place, 88))
            beat += length
    return events
