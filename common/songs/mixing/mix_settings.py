"""Draw the settings of a mix from a song's seed: the effects and the level of each part.

A `Strip` holds the settings of one part, like a channel strip of a mixing desk. `MixSettings` holds
what the whole song shares: rooms, echo time and the level of each stem. `mixdown` applies both.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from common.songs.mixing import rooms
from common.songs.writing.score import Part, Song

RATE = 44100

STEM_LEVELS = {"drums": -19.0, "bass": -20.5, "other": -20.0, "vocals": -20.0}
"""Typical RMS of MUSDB18's stems while they are active, in dBFS."""

ROLE_LEVELS = {"pad": -4.0, "arpeggio": -3.0, "double": -7.0, "harmony": -8.0, "percussion": -7.0}
"""Level of these roles relative to the stem's main part, in dB."""


@dataclass(frozen=True)
class Strip:
    """Settings of one part: levels in dB, frequencies in Hz, times in seconds; None is off."""

    level: float = 0.0
    drive: float | None = None
    asymmetry: float = 0.0
    cabinet: float | None = None
    mono: bool = False
    low_cut: float | None = None
    high_cut: float | None = None
    bells: tuple[tuple[float, float], ...] = ()
    air: tuple[float, float] | None = None
    ratio: float | None = None
    chorus: tuple[float, float, float, float] | None = None
    tremolo: tuple[float, float] | None = None
    sweep: tuple[float, float] | None = None
    pan: float = 0.0
    width: float = 0.0
    reverb: float | None = None
    echo: float | None = None


@dataclass(frozen=True)
class MixSettings:
    """Settings that a song's parts share; each dict holds one entry per stem.

    levels in dB; ratios of the stem compressors; tilts from bass to treble in dB; echo_time in
    seconds; wet: added to the reverb sends, in dB; duck: depth from 0 to 1; beats: onsets of the
    kick in seconds.
    """

    rooms: dict[str, rooms.Room]
    levels: dict[str, float]
    ratios: dict[str, float]
    tilts: dict[str, float]
    echo_time: float
    wet: float
    duck: float
    beats: tuple[float, ...]


@dataclass(frozen=True)
class MixStyle:
    """How the mix of a style differs from the default.

    drive: added to the probability of distortion; wet: added to the reverb sends, in dB; hall:
    added to the decay time of the large room, in seconds; duck: depth from 0 to 1 by which the
    kick ducks the stem `other`; drums: added to the level of the drums, in dB.
    """

    drive: float = 0.0
    wet: float = 0.0
    hall: float = 0.0
    duck: float = 0.0
    drums: float = 0.0


MIX_STYLES = {
    "rock": MixStyle(drive=0.3),
    "pop ballad": MixStyle(wet=3.0, hall=0.8, drums=-1.5),
    "funk": MixStyle(wet=-3.0, hall=-0.4, drums=1.0),
    "disco": MixStyle(duck=0.2, drums=1.0),
    "house": MixStyle(duck=0.7, drums=2.0, wet=1.0),
    "hip hop": MixStyle(drive=0.15, wet=-2.0, drums=2.0),
    "reggae": MixStyle(wet=1.0, hall=0.4),
    "bossa nova": MixStyle(drive=-0.5, wet=-1.0, drums=-3.0),
    "metal": MixStyle(drive=0.5, wet=-1.0),
    "country": MixStyle(drive=-0.1, drums=-1.5),
    "folk waltz": MixStyle(drive=-0.5, wet=1.0, drums=-3.0),
    "jazz swing": MixStyle(drive=-0.5, hall=-0.3, drums=-2.0),
    "drum and bass": MixStyle(drive=0.3, duck=0.4, drums=2.0, wet=1.0),
    "synth pop": MixStyle(duck=0.3, wet=2.0, hall=0.4),
    "blues shuffle": MixStyle(drive=0.2, wet=-1.0),
    "ska punk": MixStyle(drive=0.3, wet=-3.0, hall=-0.4),
}
"""Other styles, such as soul and latin, use the default."""


def draw_mix_settings(song: Song, rng: np.random.Generator) -> MixSettings:
    """Draw the rooms, echo and levels of a song."""
    mix_style = MIX_STYLES.get(song.style, MixStyle())
    small = rooms.build(
        RATE, rng.uniform(0.25, 0.8), rng.uniform(0.4, 0.8), rng.uniform(0.0, 0.01), rng
    )
    decay = max(0.7, rng.uniform(0.9, 2.4) + mix_style.hall)
    large = rooms.build(RATE, decay, rng.uniform(0.25, 0.7), rng.uniform(0.01, 0.05), rng)
    drawn = {stem: rng.uniform(-1, 1, 2) for stem in STEM_LEVELS}
    spread = np.clip(rng.normal(0, 2.2, len(STEM_LEVELS)), -4, 4)
    levels = {stem: STEM_LEVELS[stem] + s for stem, s in zip(STEM_LEVELS, spread, strict=True)}
    levels["drums"] += mix_style.drums
    if not song.variety.mixes:
        levels, drawn = STEM_LEVELS, dict.fromkeys(STEM_LEVELS, (0.0, 0.0))
    kicks = (
        note.start
        for part in song.parts
        if part.stem == "drums"
        for note in part.notes
        if round(note.pitch) in (35, 36)
    )
    return MixSettings(
        rooms={"drums": small, "bass": small, "other": large, "vocals": large},
        levels=levels,
        ratios={stem: 2.75 + 1.25 * float(a) for stem, (a, _) in drawn.items()},
        tilts={stem: 3.0 * float(b) for stem, (_, b) in drawn.items()},
        echo_time=float(rng.choice((0.5, 0.75, 1.0))) * 60 / song.tempo,
        wet=mix_style.wet,
        duck=mix_style.duck * float(rng.uniform(0.4, 1.0)),
        beats=tuple(kicks),
    )


def draw_strip(part: Part, index: int, song: Song, rng: np.random.Generator) -> Strip:
    """Draw one part's settings; `index` counts the parts of its stem."""
    level = ROLE_LEVELS.get(part.role, 0.0)
    if song.variety.mixes:
        level += float(rng.uniform(-1.5, 1.5))
    if not song.variety.effects:
        return Strip(level=level, low_cut=30.0)
    draw = {"drums": _drum_strip, "bass": _bass_strip, "vocals": _vocal_strip}
    mix_style = MIX_STYLES.get(song.style, MixStyle())
    # Consecutive parts are panned to opposite sides.
    side = -1.0 if (index + song.seed) % 2 else 1.0
    strip = draw.get(part.stem, _other_strip)(part, side, mix_style, rng)
    n_bells = 1 if part.stem == "other" else 2
    bells = tuple((_log_uniform(rng, 120, 8000), float(rng.uniform(-5, 5))) for _ in range(n_bells))
    pan = strip.pan if song.variety.mixes else 0.0
    return replace(strip, level=level, bells=bells, pan=pan)


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a frequency in Hz between low and high, uniform in octaves."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _drum_strip(part: Part, side: float, mix_style: MixStyle, rng: np.random.Generator) -> Strip:
    percussion = part.role == "percussion"
    chance = rng.random(4)
    return Strip(
        drive=float(rng.uniform(-4, 8)) if chance[0] < 0.4 + mix_style.drive else None,
        ratio=float(rng.uniform(2, 5)) if chance[1] < 0.7 else None,
        width=float(rng.uniform(0.6, 1.3)),
        pan=0.4 * side * chance[2] if percussion else 0.0,
        reverb=float(rng.uniform(-16, -5)),
        echo=-20.0 if percussion and chance[3] < 0.3 else None,
    )


def _bass_strip(part: Part, side: float, mix_style: MixStyle, rng: np.random.Generator) -> Strip:
    chance = rng.random(4)
    return Strip(
        mono=True,
        drive=float(rng.uniform(2, 18)) if chance[0] < 0.65 + mix_style.drive else None,
        asymmetry=float(rng.uniform(0, 0.3)),
        cabinet=float(rng.uniform(2500, 5000)) if chance[1] < 0.2 + mix_style.drive else None,
        air=(float(rng.uniform(400, 900)), float(rng.uniform(-14, -3)))
        if chance[3] < 0.6
        else None,
        ratio=float(rng.uniform(2, 5)),
        chorus=(0.002, float(rng.uniform(0.3, 1.0)), 0.4, 0.012) if chance[2] < 0.2 else None,
        width=0.25,
        pan=0.08 * (rng.random() - 0.5),
        reverb=float(rng.uniform(-24, -12)) if rng.random() < 0.6 else None,
    )


def _vocal_strip(part: Part, side: float, mix_style: MixStyle, rng: np.random.Generator) -> Strip:
    backing = part.role in ("double", "harmony")
    chance = rng.random(3)
    return Strip(
        drive=float(rng.uniform(-2, 8)) if chance[0] < 0.3 + 0.5 * mix_style.drive else None,
        low_cut=float(rng.uniform(70, 140)),
        ratio=float(rng.uniform(2.5, 6)),
        chorus=(0.0015, 0.4, 0.5, 0.018) if chance[1] < 0.25 else None,
        width=1.0,
        pan=side * float(rng.uniform(0.3, 0.8)) if backing else 0.0,
        reverb=float(rng.uniform(-15, -6)),
        echo=float(rng.uniform(-20, -11)) if chance[2] < 0.45 else None,
    )


def _other_strip(part: Part, side: float, mix_style: MixStyle, rng: np.random.Generator) -> Strip:
    """Draw distortion mainly for guitars, modulation mainly for guitars, keyboards and synths."""
    program = part.program or 0
    chance = rng.random(9)
    guitar, synth = 24 <= program < 32, 80 <= program < 104 or program in (38, 39, 50, 51, 62, 63)
    keys = program < 24
    drive, cabinet = None, None
    if (
        program in (29, 30, 84)
        or (guitar and chance[0] < 0.2 + mix_style.drive)
        or (keys and chance[0] < 0.15)
    ):
        drive, cabinet = float(rng.uniform(4, 20)), float(rng.uniform(3200, 6000))
    elif synth and chance[0] < 0.3 + mix_style.drive:
        drive = float(rng.uniform(0, 12))
    modulation = None
    if chance[1] < (0.45 if guitar or synth or keys else 0.15):
        flanger = chance[2] < 0.25
        modulation = (
            0.0015 if flanger else float(rng.uniform(0.0015, 0.004)),
            float(rng.uniform(0.1, 0.4) if flanger else rng.uniform(0.3, 1.5)),
            float(rng.uniform(0.4, 0.9)),
            0.002 if flanger else 0.014,
        )
    elif chance[3] < 0.4:
        # Doubling: two slightly delayed and detuned copies, one per channel.
        modulation = (0.0035, float(rng.uniform(0.15, 0.3)), 1.0, float(rng.uniform(0.014, 0.025)))
    quiet = part.role in ("pad", "arpeggio", "lead")
    return Strip(
        drive=drive,
        asymmetry=float(rng.uniform(0, 0.2)),
        cabinet=cabinet,
        mono=cabinet is not None,
        low_cut=float(rng.uniform(40, 140)),
        high_cut=_log_uniform(rng, 2500, 12000) if chance[4] < 0.25 else None,
        air=(float(rng.uniform(2000, 4000)), float(rng.uniform(-10, 2)))
        if rng.random() < 0.6
        else None,
        ratio=float(rng.uniform(1.5, 4)) if chance[5] < 0.6 else None,
        chorus=modulation,
        tremolo=(float(rng.uniform(2, 7)), float(rng.uniform(0.2, 0.7)))
        if chance[6] < 0.1
        else None,
        sweep=(float(rng.uniform(0.04, 0.3)), float(rng.uniform(400, 1500)))
        if synth and chance[7] < 0.4
        else None,
        pan=side * float(rng.uniform(0.1, 0.75)) if part.role != "lead" else 0.2 * side,
        width=float(rng.uniform(0.6, 1.3)),
        reverb=float(rng.uniform(-18, -5)) + (2 if quiet else 0),
        echo=float(rng.uniform(-18, -9)) if chance[8] < (0.5 if quiet else 0.15) else None,
    )
