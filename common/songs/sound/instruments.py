"""The sounds of each split, by instrument family: General MIDI programs, drum kits and voices.

Training and test songs share no program, kit, drum preset or voice; in a set with validation songs,
no two of the three splits do. Only the tables below define this.
Several programs of a soundfont may use one recording, with different envelopes and filters: every
recording of the test's sampled acoustic kits, strings and brass is played by training programs too.
"""

from __future__ import annotations

SPLITS = ("train", "valid", "test")

# family: (training programs, test programs). Choirs and "voice" synthesisers (52-54, 85, 91) are
# left out: they would put something sung into the stem `other`.
FAMILIES: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "upright bass": ((32,), (43,)),
    "electric bass": ((33, 34, 36), (35, 37)),
    "synth bass": ((38, 87, 80, 81), (39, 82)),
    "piano": ((0, 1, 3), (2,)),
    "electric piano": ((4, 7), (5,)),
    "mallets": ((8, 10, 11, 12, 14, 114), (9, 13)),
    "organ": ((16, 18, 19, 20), (17,)),
    "accordion": ((21,), (23,)),
    "acoustic guitar": ((24, 25, 105), (26,)),
    "clean guitar": ((27, 31), (28,)),
    "distorted guitar": ((30, 84), (29,)),
    "strings": ((48, 50, 44), (49, 51)),
    "solo strings": ((40, 110), (41,)),
    "plucked": ((6, 15, 45, 46, 104, 106), (107, 108)),
    "brass": ((61, 62), (63,)),
    "solo brass": ((56, 57, 60), (59,)),
    "reeds": ((65, 66, 68, 71), (64, 69)),
    "pipes": ((22, 73, 75, 79), (72, 74)),
    "synth lead": ((80, 81, 83), (82,)),
    "pad": ((88, 89, 90, 92, 95), (93, 94)),
    "digital": ((96, 98, 99, 100), (102,)),
    # The drum kits of bank 128 in TimGM6mb.sf2, which pretty_midi ships.
    "acoustic kit": ((0, 16), (8,)),
    "soft kit": ((40, 48, 0), (32,)),
    "electronic kit": ((25,), (24,)),
    "drum synth": (tuple(range(12)), tuple(range(12, 16))),
    "voice": (tuple(range(48)), tuple(range(48, 64))),
}

HELD_OUT: dict[str, tuple[int, ...]] = {
    "electric bass": (36,),
    "synth bass": (80,),
    "piano": (3,),
    "mallets": (14,),
    "organ": (18,),
    "acoustic guitar": (105,),
    "strings": (50,),
    "plucked": (106,),
    "solo brass": (56,),
    "reeds": (68,),
    "pipes": (79,),
    "synth lead": (80,),
    "pad": (90,),
    "digital": (96,),
    "soft kit": (40,),
    "drum synth": (1, 3),
    "voice": tuple(range(40, 48)),
}
"""Sounds of validation songs: sets with a validation split do not use them for training.

One program of each family that has three or more. None of the other training programs plays its
recordings in TimGM6mb.sf2, except for piano, pad and kit, where all programs share recordings;
if several qualify, it is the one whose spectrum differs most from its family's.
"""

STAND_INS = {
    "upright bass": "electric bass",
    "electric piano": "piano",
    "accordion": "organ",
    "clean guitar": "acoustic guitar",
    "distorted guitar": "synth lead",
    "solo strings": "strings",
    "brass": "solo brass",
    "acoustic kit": "drum synth",
    "electronic kit": "drum synth",
}
"""Family without held-out sounds → the family that replaces it in validation songs."""

# Register of each family: the lowest and the highest MIDI pitch of a voicing or a melody.
REGISTERS: dict[str, tuple[int, int]] = {
    "piano": (50, 77),
    "electric piano": (50, 76),
    "mallets": (60, 86),
    "organ": (48, 75),
    "accordion": (53, 77),
    "acoustic guitar": (45, 69),
    "clean guitar": (47, 71),
    "distorted guitar": (40, 66),
    "strings": (50, 80),
    "solo strings": (57, 84),
    "plucked": (55, 81),
    "brass": (52, 75),
    "solo brass": (54, 76),
    "reeds": (56, 79),
    "pipes": (65, 88),
    "synth lead": (58, 84),
    "pad": (48, 77),
    "digital": (58, 86),
}

VOICE_RANGES = ((43, 64), (55, 76), (62, 81))
"""MIDI ranges of the male, the female and the child voice: voice number modulo 3."""

BASIC = {"bass": 33, "guitar": 27, "keys": 0, "kit": 0}


def programs(
    family: str, split: str, timbres: bool = True, held_out: bool = False
) -> tuple[int, ...]:
    """The programs, kits, presets or voices of a family that songs of a split may use.

    With `held_out`, training songs do not use the sounds of validation songs. Without `timbres`,
    all splits use the same bass, guitar, piano and kit.
    ValueError for an unknown family or split.
    """
    if family not in FAMILIES:
        raise ValueError(f"unknown family {family!r}; there are {', '.join(FAMILIES)}")
    check_split(split)
    if not timbres:
        for word in ("bass", "guitar", "kit"):
            if word in family:
                return (BASIC[word],)
        if family not in ("voice", "drum synth"):
            return (BASIC["keys"],)
    if split == "valid":
        return HELD_OUT[STAND_INS.get(family, family)]
    training, test = FAMILIES[family]
    if split == "test":
        return test
    return tuple(x for x in training if not (held_out and x in HELD_OUT.get(family, ())))


def preferred(families: tuple[str, ...], split: str) -> tuple[str, ...]:
    """The families that have sounds of the split's own; all of them if none has."""
    own = tuple(family for family in families if split != "valid" or family in HELD_OUT)
    return own or families


def check_split(split: str) -> None:
    """Raise ValueError for an unknown split."""
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}; there are train, valid and test")
