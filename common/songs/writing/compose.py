"""Compose a song from a seed: style, key, form, chords, and the notes of every player."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pretty_midi

from common.songs.random_streams import flip, pick, stream, weighted
from common.songs.sound.instruments import check_split
from common.songs.writing import arrange, bass, drumming, lines, lyrics, melody, theory
from common.songs.writing.arrange import Arrangement, Player
from common.songs.writing.form import SUNG, Event, Plan, form, harmonise, measure
from common.songs.writing.performance import Clock, perform
from common.songs.writing.score import Section, Song, Syllable, Variety
from common.songs.writing.styles import STYLES

FULL = Variety()
CHOIRS = (52, 53, 54)
"""General MIDI programs of sung parts in a MIDI file: male, female, child."""


def compose(
    seed: int,
    split: str = "train",
    seconds: float = 24.0,
    variety: Variety = FULL,
    held_out: bool = False,
) -> Song:
    """Compose a song that lasts `seconds`; the same arguments always give the same song.

    With `held_out`, a training song avoids the sounds of validation songs; it has no effect in the
    other splits.

    ValueError for a negative seed, an unknown split, or less than 4 seconds.
    """
    if seed < 0:
        raise ValueError(f"the seed must be 0 or more, not {seed}")
    check_split(split)
    held_out = held_out and split == "train"
    plan = _plan(seed, split, float(seconds), variety)
    draws = stream(seed, split, "players"), stream(seed, split, "voices")
    players = arrange.draw_players(plan.style, split, variety, *draws, held_out)
    arrangement = arrange.arrange(plan, players, stream(seed, split, "arrangement"))
    events = _write(plan, players, arrangement, seed, split)
    clock = Clock(plan, stream(seed, split, "swing"))
    parts = []
    for player in players:
        rng = stream(seed, split, "performance " + player.name)
        part = perform(plan, clock, player, events[player.name], arrangement.on[player.name], rng)
        # Omit a lead instrument that would play only the last note.
        if len(part.notes) > (player.role == "lead" and player.stem == "other"):
            parts.append(part)
    beat = 60 / plan.tempo
    bar = plan.style.beats * beat
    stops = [span.bar * bar for span in plan.spans[1:]] + [plan.seconds]
    return Song(
        title=lyrics.title(seed, split, stream(seed, split, "title")),
        seed=seed,
        split=split,
        style=plan.style.name,
        tempo=plan.tempo,
        key=theory.spelling(plan.tonic, plan.mode)[plan.tonic],
        mode=plan.mode,
        duration=plan.seconds,
        sections=tuple(
            Section(span.name, span.bar * bar, stop)
            for span, stop in zip(plan.spans, stops, strict=True)
        ),
        parts=tuple(parts),
        variety=variety,
        chords=tuple(
            replace(chord, start=chord.start * beat, end=chord.end * beat) for chord in plan.chords
        ),
        held_out=held_out,
    )


def _plan(seed: int, split: str, seconds: float, variety: Variety) -> Plan:
    """Draw style, tempo, key, form and chords; without `styles`: rock, 110 BPM, one form."""
    rng = stream(seed, split, "plan")
    style = pick(rng, tuple(STYLES.values())) if variety.styles else STYLES["rock"]
    tempo, bars = measure(style, rng, seconds, None if variety.styles else 110.0)
    spans = form(stream(seed if variety.styles else 0, "", "form"), style, bars)
    mode = weighted(rng, style.modes)
    tonic = int(rng.random() * 12)
    chords = harmonise(stream(seed, split, "harmony"), style, tonic, mode, spans)
    return Plan(style, tempo, tonic, mode, spans, chords, seconds)


def _write(
    plan: Plan, players: list[Player], arrangement: Arrangement, seed: int, split: str
) -> dict[str, list[Event]]:
    """Write the events of every player in beats, before the arrangement adds rests."""
    events: dict[str, list[Event]] = {}
    drummer = drumming.Drummer(plan, stream(seed, split, "drums"))
    events["drums"] = drummer.ending()
    bassist = bass.Bassist(plan, stream(seed, split, "bass"))
    events["bass"] = bassist.ending()
    for index, span in enumerate(plan.spans):
        body = replace(span, bars=span.bars - 1) if index == len(plan.spans) - 1 else span
        events["drums"] += drummer.play(body, arrangement.drum_modes)
        events["bass"] += bassist.play(span, drummer.kicks(span.name))
    sung = _sing(plan, players, arrangement, seed, split, events)
    for player in players:
        rng = stream(seed, split, "line " + player.name)
        if player.stem == "other":
            events[player.name] = _line(plan, player, rng, sung)
        elif player.role == "percussion":
            events[player.name] = drumming.percussion(plan, rng, player.rhythm)
    return events


def _line(plan: Plan, player: Player, rng: np.random.Generator, sung: list[Event]) -> list[Event]:
    """Write the events of a player in the stem `other`."""
    low, high = player.pitch_range
    if player.role == "pad":
        return lines.pad(plan, rng, low, high)
    if player.role == "arpeggio":
        return lines.arpeggio(plan, rng, player.rhythm, low, high)
    if player.role == "riff":
        return lines.riff(plan, rng, low, high)
    if player.role == "chords":
        power = player.family == "distorted guitar"
        kind = "power" if power else "strum" if "guitar" in player.family else "keys"
        return lines.chords(plan, rng, player.rhythm, low, high, kind)
    return _lead(plan, player, rng, sung)


def _lead(plan: Plan, player: Player, rng: np.random.Generator, sung: list[Event]) -> list[Event]:
    """Write the lead instrument: melodies in instrumental sections, fills in vocal pauses."""
    writer = melody.MelodyWriter(plan, rng, player.pitch_range, None)
    events = writer.ending() if flip(rng, 0.5) else []
    quiet = [span for span in plan.spans if span.name not in SUNG or not sung]
    for span in quiet:
        events += [event for event in writer.play(span) if event.start < plan.beat(plan.last)]
    busy = [span for span in plan.spans if span not in quiet]
    gaps = melody.pauses(plan, sung, busy)
    return events + lines.fills(plan, rng, gaps, *player.pitch_range, chance=rng.uniform(0.15, 0.6))


def _sing(
    plan: Plan, players: list[Player], arrangement: Arrangement, seed: int, split: str,
    events: dict[str, list[Event]],
) -> list[Event]:  # fmt: skip
    """Write all sung parts into `events`; return what the arrangement keeps of the lead."""
    voices = [player for player in players if player.stem == "vocals"]
    if not voices:
        return []
    rng = stream(seed, split, "melody")
    words = lyrics.Lyrics(stream(seed, split, "lyrics"))
    writer = melody.MelodyWriter(plan, rng, voices[0].pitch_range, words)
    tune: list[Event] = []
    for span in plan.spans:
        tune += [event for event in writer.play(span) if event.start < plan.beat(plan.last)]
    tune += writer.ending()
    interval = weighted(rng, ((2, 3.0), (-2, 1.5), (-5, 0.7), (4, 0.5)))
    events[voices[0].name] = tune
    for voice in voices[1:]:
        if voice.role == "double":
            detune = rng.uniform(-0.08, 0.08)
            events[voice.name] = [event._replace(pitch=event.pitch + detune) for event in tune]
        elif voice.family == "backing":
            vowel = pick(rng, ("u", "o", "a"))
            events[voice.name] = melody.backing(plan, list(plan.spans), vowel, *voice.pitch_range)
        else:
            events[voice.name] = melody.harmony(plan, tune, interval, *voice.pitch_range)
    on = arrangement.on[voices[0].name]
    return [event for event in tune if int(event.start // plan.style.beats) in on]


def to_midi(song: Song) -> pretty_midi.PrettyMIDI:
    """Convert to MIDI, one instrument per part; voices become choirs with rounded pitches."""
    midi = pretty_midi.PrettyMIDI(initial_tempo=song.tempo)
    for part in song.parts:
        drums = part.stem == "drums"
        program = CHOIRS[part.program % 3] if part.instrument == "voice" else part.program
        if part.instrument == "drum synth":
            program = 0
        instrument = pretty_midi.Instrument(program, is_drum=drums, name=part.name)
        instrument.notes = [
            pretty_midi.Note(note.velocity, int(round(note.pitch)), note.start, note.end)
            for note in part.notes
        ]
        midi.instruments.append(instrument)
    return midi


def song_json(song: Song) -> dict:
    """Describe a song as a dictionary for `json.dump`."""
    parts = []
    for part in song.parts:
        entry = {
            "name": part.name, "stem": part.stem, "role": part.role,
            "instrument": part.instrument, "program": part.program, "n_notes": len(part.notes),
        }  # fmt: skip
        if part.instrument == "voice":
            entry["syllables"] = [
                [round(n.start, 4), round(n.end, 4), n.pitch, n.consonant + n.vowel]
                for n in part.notes
                if isinstance(n, Syllable)
            ]
        parts.append(entry)
    plain = ("title", "seed", "split", "style", "tempo", "key", "mode", "duration")
    return {
        **{name: getattr(song, name) for name in plain},
        "variety": asdict(song.variety),
        **({"held_out": True} if song.held_out else {}),
        "sections": [asdict(section) for section in song.sections],
        "chords": [asdict(chord) for chord in song.chords],
        "parts": parts,
    }
