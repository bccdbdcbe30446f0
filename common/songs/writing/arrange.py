"""Arrangement: which player plays in which bar, and which sound each player has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import numpy as np

from common.songs.random_streams import flip, pick, weighted
from common.songs.sound.instruments import (
    REGISTERS,
    STAND_INS,
    VOICE_RANGES,
    preferred,
    programs,
)
from common.songs.writing.form import SUNG, Plan, Span
from common.songs.writing.score import Variety
from common.songs.writing.styles import Layer, Style

Sounds = Callable[..., tuple[int, ...]]
"""A function like `programs`: family → its programs, kits, presets or voices."""

ALL_STEMS = ("drums", "bass", "other", "vocals")
BAND = ALL_STEMS[:3]
SECTION_STEMS: dict[str, tuple[tuple[tuple[str, ...], float], ...]] = {
    "intro": ((BAND, 5.0), (("other",), 2.0), (("drums",), 0.7), (("drums", "bass"), 0.8),
              (("drums", "other"), 1.0), (("other", "vocals"), 0.6), (("bass", "other"), 1.0),
              (("vocals",), 0.3)),
    "break": ((("drums", "bass"), 2.0), (("drums",), 0.7), (("other",), 1.2),
              (("other", "vocals"), 0.8), (("drums", "vocals"), 0.5), (("bass", "other"), 1.0),
              (("vocals",), 0.3), (("drums", "other"), 0.7), (BAND, 2.5)),
    "verse": ((ALL_STEMS, 9.0), (("drums", "other", "vocals"), 0.5),
              (("bass", "other", "vocals"), 0.6), (("drums", "bass", "vocals"), 0.5),
              (("other", "vocals"), 0.4)),
    "bridge": ((ALL_STEMS, 2.0), (("other", "vocals"), 1.5), (("bass", "other", "vocals"), 1.0)),
    "solo": ((BAND, 1.0),),
    "chorus": ((ALL_STEMS, 1.0),),
    "outro": ((ALL_STEMS, 1.0), (BAND, 1.0)),
}  # fmt: skip
BREAK_STEMS: tuple[tuple[tuple[str, ...], float], ...] = (
    (("drums",), 2.0), (("vocals",), 1.5), (("drums", "vocals"), 1.0), (("other",), 0.7), ((), 0.5),
)  # fmt: skip
"""The stems that continue when the band stops for a bar."""


class Player(NamedTuple):
    """The player of one part; `family` sets its register, `rhythm` names its pattern."""

    name: str
    stem: str
    role: str
    instrument: str
    program: int
    family: str = ""
    rhythm: str = ""

    @property
    def pitch_range(self) -> tuple[int, int]:
        """The lowest and the highest MIDI pitch of this player."""
        if self.instrument == "voice":
            return VOICE_RANGES[self.program % 3]
        return REGISTERS[self.family]


@dataclass
class Arrangement:
    """The bars in which each player plays, and how the drums play in bars with reduced drums."""

    on: dict[str, set[int]] = field(default_factory=dict)
    drum_modes: dict[int, str] = field(default_factory=dict)


def draw_players(
    style: Style,
    split: str,
    variety: Variety,
    rng: np.random.Generator,
    voice: np.random.Generator,
    held_out: bool = False,
) -> list[Player]:
    """Draw the players of a song, with sounds that its split may use."""
    sounds = partial(programs, split=split, timbres=variety.timbres, held_out=held_out)
    players = _drummers(style, split, variety.timbres, sounds, rng)
    family = pick(rng, preferred(style.bass_families, split))
    bass = pick(rng, sounds(family))
    players.append(Player("bass", "bass", "bass", "sampled", bass, family))
    layers = [layer for layer in style.layers if flip(rng, layer.chance)]
    layers += [layer for layer in style.layers if layer not in layers][: max(2 - len(layers), 0)]
    used = {bass}
    counts: dict[str, int] = {}
    for layer in layers:
        player = _layer_player(layer, split, sounds, rng, used)
        counts[layer.role] = counts.get(layer.role, 0) + 1
        if counts[layer.role] > 1:
            player = player._replace(name=f"{layer.role} {counts[layer.role]}")
        players.append(player)
    lead = any(player.role == "lead" for player in players)
    return players + _singers(style, sounds("voice"), variety, voice, lead)


def _drummers(
    style: Style, split: str, timbres: bool, sounds: Sounds, rng: np.random.Generator
) -> list[Player]:
    """The drummer, and in some songs a percussionist."""
    kit = weighted(rng, style.kits)
    if kit == "drum synth" and not timbres:
        kit = "acoustic kit"
    if split == "valid" and timbres:
        kit = STAND_INS.get(kit, kit)
    instrument = "drum synth" if kit == "drum synth" else "sampled"
    players = [Player("drums", "drums", "drums", instrument, pick(rng, sounds(kit)), kit)]
    if style.percussion and flip(rng, 0.5):
        # Percussion beside the drum synth is sampled; validation songs have no acoustic kit for it.
        sampled = instrument == "drum synth" and split != "valid"
        hands, instrument = ("acoustic kit", "sampled") if sampled else (kit, instrument)
        program = players[0].program if hands == kit else pick(rng, sounds(hands))
        rhythm = pick(rng, style.percussion)
        players.append(
            Player("percussion", "drums", "percussion", instrument, program, hands, rhythm)
        )
    return players


def _layer_player(
    layer: Layer, split: str, sounds: Sounds, rng: np.random.Generator, used: set[int]
) -> Player:
    # Families with more sounds are more likely, so that all their sounds are used.
    suited = preferred(layer.families, split)
    family = weighted(rng, [(name, len(sounds(name, timbres=True)) ** 0.6) for name in suited])
    choice = sounds(family)
    program = pick(rng, [p for p in choice if p not in used] or choice)
    used.add(program)
    rhythm = pick(rng, layer.rhythms) if layer.rhythms else ""
    return Player(layer.role, "other", layer.role, "sampled", program, family, rhythm)


def _singers(
    style: Style,
    voices: tuple[int, ...],
    variety: Variety,
    rng: np.random.Generator,
    lead: bool,
) -> list[Player]:
    """One to four sung parts; rarely none, if an instrument has the lead."""
    if lead and flip(rng, 0.05):
        return []
    kind = weighted(rng, ((0, 0.42), (1, 0.42), (2, 0.16)))
    own = pick(rng, [v for v in voices if v % 3 == kind])
    mate = pick(rng, [v for v in voices if v % 3 == kind and v != own])
    if not variety.voices:
        own = mate = 0
    singers = [Player("vocals", "vocals", "lead", "voice", own)]
    if flip(rng, 0.45):
        singers.append(Player("vocals double", "vocals", "double", "voice", own))
    if flip(rng, 0.25 + style.backing * 0.5):
        singers.append(Player("vocals harmony", "vocals", "harmony", "voice", mate))
    if flip(rng, style.backing * 0.5):
        singers.append(Player("backing vocals", "vocals", "harmony", "voice", mate, "backing"))
    return singers


def arrange(plan: Plan, players: list[Player], rng: np.random.Generator) -> Arrangement:
    """Decide which players play in each section and bar."""
    result = Arrangement({player.name: set() for player in players})
    layers = [player.name for player in players if player.stem == "other" and player.role != "lead"]
    # Verses omit some layers, so that the chorus sounds fuller.
    verse = [name for index, name in enumerate(layers) if index == 0 or flip(rng, 0.6)]
    verse = layers[:2] if len(verse) < 2 else verse
    # In songs of fewer than ten bars, all stems play in sung sections and the band never stops.
    brief = len(plan.bars) < 10
    for number, span in enumerate(plan.spans):
        stems = weighted(rng, SECTION_STEMS[span.name])
        if brief and span.name in SUNG:
            stems = ALL_STEMS
        chosen = set(verse if span.name in ("verse", "bridge") else layers)
        if span.name in ("intro", "break") and flip(rng, 0.4):
            chosen = {pick(rng, layers)}
        bars = set(range(span.bar, span.bar + span.bars))
        for player in players:
            if player.stem in stems and (
                player.stem != "other" or player.role == "lead" or player.name in chosen
            ):
                result.on[player.name] |= _share(rng, span, player, bars)
        if "drums" in stems and span.name in ("intro", "verse", "break") and flip(rng, 0.3):
            mode = pick(rng, ("hats", "kick", "hats"))
            half = sorted(bars)[: max(len(bars) // 2, 1)]
            result.drum_modes.update(dict.fromkeys(half, mode))
        if not brief and span.bars >= 2 and number + 1 < len(plan.spans) and flip(rng, 0.16):
            stay = weighted(rng, BREAK_STEMS)
            for player in players:
                if player.stem not in stay:
                    result.on[player.name].discard(span.bar + span.bars - 1)
    for player in players:
        if player.stem != "vocals" or player.role == "lead" and flip(rng, 0.6):
            result.on[player.name].add(plan.last)
        else:
            result.on[player.name].discard(plan.last)
    return result


def _share(rng: np.random.Generator, span: Span, player: Player, bars: set[int]) -> set[int]:
    """The bars of a section in which a player plays: all, the second half, or none."""
    late = {bar for bar in bars if bar >= span.bar + span.bars / 2}
    if player.role == "double":
        return bars if span.name == "chorus" else set()
    if player.role == "harmony" and span.name != "chorus":
        return late if span.name in SUNG and flip(rng, 0.2) else set()
    if span.name == "intro" and span.bars >= 2 and flip(rng, 0.3):
        return late
    if span.name == "verse" and span.repeat == 0 and player.stem in ("drums", "bass"):
        return late if span.bars >= 4 and flip(rng, 0.1) else bars
    if player.role == "percussion" and span.name == "verse" and flip(rng, 0.4):
        return set()
    return bars
