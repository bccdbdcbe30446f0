"""The parameters of a synthetic voice, drawn from its number."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from common.songs.sound.formants import KINDS, TRACT_SCALE
from common.songs.writing.score import VOWELS


@dataclass(frozen=True)
class Voice:
    """One singer. Times in seconds, levels relative to the vowels' RMS, pitches as MIDI numbers."""

    number: int
    kind: str  # "male", "female" or "child"
    centre: float  # the pitch of medium effort; higher notes are more pressed
    tract: float  # formants relative to the average of the kind
    accent: tuple[tuple[float, float, float], ...]  # F1 to F3 of each vowel relative to the table
    damping: float  # formant bandwidths relative to the table
    upper_step: float  # distance of the weak formants above F5 in Hz
    upper_slope: float  # roll-off above about 4.8 kHz in dB per octave
    ring: float  # singer's formant: how far F3 to F5 move together, 0 to 1
    twang: float  # dB added around 3 kHz
    air: float  # dB added above 8 kHz
    chest: float  # dB added below 300 Hz
    rd: float  # glottal shape at a middle velocity, 0.5 (bright) to 1.6 (soft)
    dynamics: float  # dB from the softest to the loudest velocity
    breath: float  # aspiration while voiced
    inhale: float  # level of breaths between phrases, 0: none
    jitter: float  # fraction of a period
    shimmer: float  # dB
    growl: float  # every second pulse is weaker by this fraction
    vibrato_rate: float  # Hz
    vibrato_depth: float  # semitones
    vibrato_delay: float
    tremolo: float  # random changes of the level in dB
    drift: float  # semitones
    transition: float  # time of a pitch change between notes
    glide: float  # time of an audible glide
    scoop: float  # probability that a phrase starts from below
    coarticulation: float  # time of formant transitions
    attack: float
    release: float
    consonants: float  # their level, 1: as in the table
    crispness: float  # consonant length, 1: as in the table
    nasality: float  # 0 to 1
    diphthong: float  # how far the formants of long vowels move, 1: as in the table

    @property
    def scale(self) -> float:
        """Formants relative to those of the average man."""
        return self.tract * TRACT_SCALE[self.kind]


def voice(number: int) -> Voice:
    """Draw the voice of a number: male, female or child by number % 3; ValueError below 0."""
    if number < 0:
        raise ValueError(f"the number of a voice must be 0 or more, not {number}")
    rng = np.random.default_rng((0x5106E2, number))
    kind = KINDS[number % 3]
    centre = {"male": 54.0, "female": 65.0, "child": 70.0}[kind] + rng.uniform(-4.0, 4.0)
    rd = float(np.exp(rng.uniform(np.log(0.55), np.log(1.5))))
    ring = {"male": 0.75, "female": 0.4, "child": 0.2}[kind] * rng.uniform(0.0, 1.0)
    accent = rng.uniform(0.95, 1.05, (len(VOWELS), 3)) * rng.uniform(0.96, 1.04, 3)
    # Pressed voices have little aspiration and soft ones a lot, so it depends on rd.
    breath = 0.015 * (rd / 0.6) ** 1.6 * np.exp(rng.uniform(-0.7, 0.9))
    return Voice(
        number=number,
        kind=kind,
        centre=float(centre),
        tract=float(rng.uniform(0.91, 1.09)),
        accent=tuple((float(one), float(two), float(three)) for one, two, three in accent),
        damping=float(rng.uniform(0.75, 1.5)),
        upper_step=float(rng.uniform(850.0, 1300.0)),
        upper_slope=float(rng.uniform(2.0, 9.0)),
        ring=float(ring),
        twang=float(rng.uniform(-7.0, 4.0)),
        air=float(rng.uniform(-5.0, 7.0)),
        chest=float(rng.uniform(-4.0, 4.0)),
        rd=rd,
        dynamics=float(rng.uniform(6.0, 15.0)),
        breath=float(breath),
        inhale=float(rng.choice([0.0, 0.5, 1.0, 1.8], p=[0.15, 0.3, 0.35, 0.2])),
        jitter=float(rng.uniform(0.0015, 0.007)),
        shimmer=float(rng.uniform(0.1, 0.7)),
        growl=float(max(rng.uniform(-0.6, 0.25), 0.0)),
        vibrato_rate=float(rng.uniform(4.5, 6.5)),
        vibrato_depth=float(rng.choice([0.08, 0.2, 0.35, 0.55]) * rng.uniform(0.7, 1.3)),
        vibrato_delay=float(rng.uniform(0.12, 0.6)),
        tremolo=float(rng.uniform(0.0, 1.5)),
        drift=float(rng.uniform(0.03, 0.11)),
        transition=float(rng.uniform(0.05, 0.11)),
        glide=float(rng.uniform(0.13, 0.32)),
        scoop=float(rng.uniform(0.0, 0.7)),
        coarticulation=float(rng.uniform(0.06, 0.12)),
        attack=float(rng.uniform(0.015, 0.07)),
        release=float(rng.uniform(0.05, 0.16)),
        consonants=float(np.exp(rng.uniform(-0.5, 0.5))),
        crispness=float(rng.uniform(0.8, 1.25)),
        nasality=float(max(rng.uniform(-0.5, 0.6), 0.0)),
        diphthong=float(rng.uniform(0.0, 1.3)),
    )
