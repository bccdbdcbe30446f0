"""Table of the musical styles."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Layer:
    """One player of the stem `other`: its role, families, rhythms and probability."""

    role: str
    families: tuple[str, ...]
    rhythms: tuple[str, ...] = ()
    chance: float = 1.0


@dataclass(frozen=True)
class Style:
    """Parameters of one style; rhythms, grooves and bass lines are names of patterns.

    tempo: range in BPM; `swing` is the share of a swung pair that its first note takes (0.5 is
    straight), and a pair lasts `pair` beats; `human` is the spread of onsets in milliseconds;
    `forms` list the sections after the intro: V verse, C chorus, B break, S solo, R bridge.
    """

    name: str
    tempo: tuple[float, float]
    modes: tuple[tuple[str, float], ...]
    harmony: str
    grooves: tuple[str, ...]
    kits: tuple[tuple[str, float], ...]
    bass: tuple[str, ...]
    bass_families: tuple[str, ...]
    layers: tuple[Layer, ...]
    singing: tuple[str, ...]
    forms: tuple[str, ...]
    percussion: tuple[str, ...] = ()
    swing: tuple[float, float] = (0.5, 0.5)
    pair: float = 1.0
    human: float = 7.0
    beats: int = 4
    invent: float = 0.35
    backing: float = 0.3
    syncopation: float = 0.25


BAND = (("acoustic kit", 0.8), ("drum synth", 0.2))
MACHINE = (("drum synth", 0.6), ("electronic kit", 0.4))
SOFT = (("soft kit", 0.8), ("acoustic kit", 0.2))
BRIGHT = (("major", 3.0), ("mixolydian", 1.0), ("minor", 1.0))
DARK = (("minor", 3.0), ("dorian", 2.0))
SONG = ("VCVCSC", "VCVCBRC", "VCSCVC", "VCBCVC", "CVCVRC")
CLUB = ("BVCBVC", "VBCVBC", "CBVCSC", "VCBCVC")
RHYTHM_GUITAR = ("clean guitar", "acoustic guitar")

_ALL = (
    Style("rock", (100, 150), (*BRIGHT, ("dorian", 1.0)), "rock",
          ("rock", "rock driving", "rock syncopated"), BAND,
          ("eighths", "kick", "roots and fifths"), ("electric bass",),
          (Layer("chords", ("distorted guitar",), ("eighths", "push", "power")),
           Layer("chords", RHYTHM_GUITAR, ("strum", "strum sparse"), 0.5),
           Layer("riff", ("clean guitar", "distorted guitar", "organ"), (), 0.5),
           Layer("pad", ("organ", "strings"), (), 0.4),
           Layer("lead", ("distorted guitar", "synth lead"), (), 0.7)),
          ("pop", "syncopated"), SONG, ("tambourine",)),
    Style("pop ballad", (70, 86), BRIGHT, "pop", ("ballad", "ballad sparse", "half time"),
          (("acoustic kit", 0.4), ("soft kit", 0.4), ("drum synth", 0.2)),
          ("long", "ballad", "roots and fifths"), ("electric bass", "upright bass"),
          (Layer("chords", ("piano", "electric piano"), ("quarters", "broken", "whole")),
           Layer("pad", ("strings", "pad"), (), 0.9),
           Layer("arpeggio", ("acoustic guitar", "plucked", "piano"), ("8",), 0.6),
           Layer("lead", ("solo strings", "pipes", "reeds", "clean guitar"), (), 0.6)),
          ("ballad",), SONG, ("shaker",), backing=0.5),
    Style("funk", (94, 116), (("dorian", 3.0), ("mixolydian", 2.0)), "soul",
          ("funk", "funk broken", "funk hats"), BAND,
          ("funk", "slap", "kick"), ("electric bass",),
          (Layer("chords", ("clean guitar",), ("scratch", "funk stabs")),
           Layer("chords", ("electric piano", "organ"), ("funk stabs", "offbeat push"), 0.7),
           Layer("riff", ("brass", "reeds", "electric piano"), (), 0.8),
           Layer("lead", ("reeds", "solo brass"), (), 0.5)),
          ("syncopated", "rap"), CLUB, ("congas", "tambourine", "cowbell"),
          (0.5, 0.57), 0.5, syncopation=0.5, backing=0.4),
    Style("disco", (112, 126), (("minor", 2.0), ("dorian", 2.0), ("major", 1.5)), "soul",
          ("disco", "disco busy"), (("acoustic kit", 0.6), ("drum synth", 0.4)),
          ("octaves", "octaves busy", "funk"), ("electric bass", "synth bass"),
          (Layer("chords", ("clean guitar",), ("scratch", "disco guitar")),
           Layer("pad", ("strings",), ()),
           Layer("chords", ("piano", "electric piano"), ("offbeats", "funk stabs"), 0.6),
           Layer("riff", ("strings", "brass"), (), 0.6)),
          ("pop", "syncopated"), CLUB, ("congas", "tambourine", "shaker"), backing=0.6),
    Style("house", (118, 130), DARK, "pop", ("house", "house clap", "house broken"), MACHINE,
          ("offbeat", "house", "octaves"), ("synth bass",),
          (Layer("chords", ("piano", "organ", "electric piano"),
                 ("house piano", "offbeats", "push")),
           Layer("pad", ("pad", "strings"), (), 0.8),
           Layer("arpeggio", ("digital", "synth lead", "mallets"), ("16",), 0.7),
           Layer("lead", ("synth lead", "digital"), (), 0.5)),
          ("pop", "syncopated"), CLUB, ("shaker", "congas"), (0.5, 0.56), 0.5, 2.0),
    Style("hip hop", (78, 98), DARK, "soul",
          ("boom bap", "boom bap lazy", "trap"), (("drum synth", 0.45), ("electronic kit", 0.3),
                                                  ("acoustic kit", 0.25)),
          ("sub", "kick", "ballad"), ("synth bass", "electric bass", "upright bass"),
          (Layer("chords", ("electric piano", "piano"), ("whole", "offbeat push", "quarters")),
           Layer("riff", ("plucked", "mallets", "pipes", "strings"), ()),
           Layer("pad", ("pad", "strings"), (), 0.5)),
          ("rap",), ("VCVCBC", "VBCVC", "CVCVBC"), ("shaker", "tambourine"),
          (0.52, 0.62), 0.5, 5.0, syncopation=0.4),
    Style("reggae", (72, 94), (("minor", 2.0), ("major", 3.0), ("mixolydian", 1.0)), "pop",
          ("one drop", "steppers", "rockers"), BAND, ("reggae", "reggae steady"),
          ("electric bass",),
          (Layer("chords", RHYTHM_GUITAR, ("skank", "skank double")),
           Layer("chords", ("organ",), ("bubble",)),
           Layer("riff", ("brass", "reeds", "solo brass"), (), 0.6),
           Layer("pad", ("organ", "strings"), (), 0.2)),
          ("syncopated", "pop"), SONG, ("bongos", "shaker", "cowbell"),
          (0.52, 0.62), 0.5, 9.0, backing=0.5),
    Style("bossa nova", (112, 140), (("major", 3.0), ("minor", 1.5), ("dorian", 1.0)), "jazz",
          ("bossa", "bossa soft"), SOFT, ("bossa", "bossa walking"),
          ("upright bass", "electric bass"),
          (Layer("chords", ("acoustic guitar",), ("bossa", "bossa long")),
           Layer("chords", ("piano", "electric piano"), ("charleston", "whole"), 0.5),
           Layer("pad", ("strings",), (), 0.4),
           Layer("lead", ("pipes", "reeds", "mallets"), (), 0.9)),
          ("syncopated",), SONG, ("shaker", "claves"), human=8.0, syncopation=0.5),
    Style("metal", (130, 170), (("minor", 2.0), ("phrygian", 2.0), ("harmonic minor", 1.0)),
          "metal", ("metal", "metal double", "metal half"), BAND,
          ("gallop", "eighths", "sixteenths"), ("electric bass",),
          (Layer("chords", ("distorted guitar",), ("gallop", "chug", "power")),
           Layer("riff", ("distorted guitar",), ()),
           Layer("chords", ("distorted guitar",), ("whole", "power"), 0.4),
           Layer("lead", ("distorted guitar", "synth lead"), (), 0.8),
           Layer("pad", ("strings",), (), 0.25)),
          ("ballad", "pop"), ("VCVCSC", "VCSC", "CVCBSC"), human=4.0, invent=0.2),
    Style("country", (96, 140), (("major", 3.0), ("mixolydian", 1.0)), "rock",
          ("train", "country two beat", "rock"), (("acoustic kit", 0.7), ("soft kit", 0.3)),
          ("two beat", "two beat walking"), ("upright bass", "electric bass"),
          (Layer("chords", ("acoustic guitar",), ("boom chuck", "strum")),
           Layer("arpeggio", ("acoustic guitar", "plucked"), ("16", "8"), 0.5),
           Layer("chords", ("piano", "clean guitar"), ("backbeats", "strum sparse"), 0.5),
           Layer("lead", ("solo strings", "clean guitar", "pipes"), (), 0.9)),
          ("pop", "syncopated"), SONG, ("tambourine",), (0.5, 0.6), backing=0.4),
    Style("folk waltz", (92, 150), (("major", 3.0), ("dorian", 2.0), ("minor", 1.0)), "pop",
          ("waltz", "waltz soft"), SOFT, ("waltz", "waltz walking"), ("upright bass",),
          (Layer("chords", ("acoustic guitar", "accordion"), ("waltz", "waltz strum")),
           Layer("arpeggio", ("acoustic guitar", "plucked"), ("8",), 0.6),
           Layer("pad", ("accordion", "strings", "organ"), (), 0.5),
           Layer("lead", ("solo strings", "pipes", "accordion"), (), 0.9)),
          ("waltz",), SONG, ("shaker",), human=9.0, beats=3, backing=0.4),
    Style("jazz swing", (112, 168), (("major", 3.0), ("minor", 2.0), ("dorian", 1.0)), "jazz",
          ("swing", "swing brushes"), SOFT, ("walking",), ("upright bass",),
          (Layer("chords", ("piano", "clean guitar", "electric piano"), ("charleston", "comping")),
           Layer("chords", ("acoustic guitar",), ("quarters short",), 0.3),
           Layer("riff", ("brass", "reeds"), (), 0.5),
           Layer("lead", ("reeds", "solo brass", "mallets"), ())),
          ("swing",), ("VCSC", "VVCSC", "VCSVC"), (), (0.6, 0.68), 1.0, 9.0, syncopation=0.4),
    Style("drum and bass", (158, 170), (*DARK, ("phrygian", 0.5)), "pop",
          ("dnb", "dnb busy", "dnb half"), MACHINE, ("sub", "reese", "kick"), ("synth bass",),
          (Layer("pad", ("pad", "strings"), ()),
           Layer("arpeggio", ("digital", "electric piano", "mallets"), ("8", "16"), 0.8),
           Layer("chords", ("electric piano", "piano", "digital"), ("push", "whole"), 0.6),
           Layer("riff", ("synth lead", "plucked"), (), 0.5)),
          ("ballad", "pop"), CLUB, ("shaker",), human=2.0),
    Style("synth pop", (100, 132), (("minor", 3.0), ("major", 2.0), ("lydian", 0.7)), "pop",
          ("synth pop", "house clap", "rock driving"), MACHINE,
          ("eighths", "octaves", "sixteenths"), ("synth bass",),
          (Layer("chords", ("synth lead", "digital", "brass"), ("push", "eighths", "offbeats")),
           Layer("pad", ("pad", "strings"), (), 0.9),
           Layer("arpeggio", ("synth lead", "digital", "mallets"), ("16", "8"), 0.9),
           Layer("lead", ("synth lead", "digital"), (), 0.7)),
          ("pop",), SONG, ("tambourine",), human=1.5, backing=0.4),
    Style("soul", (70, 104), (("major", 3.0), ("minor", 1.5), ("mixolydian", 1.0)), "soul",
          ("soul", "soul shuffle", "half time"), BAND, ("soul", "ballad", "kick"),
          ("electric bass",),
          (Layer("chords", ("electric piano", "organ", "piano"),
                 ("quarters", "offbeat push", "whole")),
           Layer("chords", ("clean guitar",), ("backbeats", "strum sparse"), 0.7),
           Layer("riff", ("brass", "reeds"), (), 0.6),
           Layer("pad", ("strings", "organ"), (), 0.6),
           Layer("lead", ("reeds", "solo brass"), (), 0.4)),
          ("syncopated", "ballad"), SONG, ("tambourine", "congas"), (0.5, 0.6), 0.5, 10.0,
          backing=0.7, syncopation=0.4),
    Style("latin", (92, 124), (("minor", 3.0), ("major", 2.0), ("harmonic minor", 1.0),
                               ("dorian", 1.0)), "latin",
          ("latin", "latin cascara"), (("acoustic kit", 0.7), ("soft kit", 0.3)),
          ("tumbao", "tumbao sparse"), ("upright bass", "electric bass"),
          (Layer("arpeggio", ("piano",), ("montuno",)),
           Layer("riff", ("brass", "solo brass"), (), 0.9),
           Layer("chords", ("acoustic guitar", "plucked"), ("strum", "offbeats"), 0.4),
           Layer("lead", ("solo brass", "pipes", "reeds"), (), 0.6)),
          ("syncopated",), CLUB, ("congas", "bongos", "cowbell", "claves"), human=6.0,
          backing=0.6, syncopation=0.5),
    Style("blues shuffle", (84, 128), (("mixolydian", 3.0), ("dorian", 1.0)), "blues",
          ("shuffle", "shuffle driving"), BAND, ("shuffle", "walking"),
          ("electric bass", "upright bass"),
          (Layer("chords", ("piano", "organ", "clean guitar"),
                 ("charleston", "backbeats", "quarters")),
           Layer("riff", ("clean guitar", "reeds", "distorted guitar"), (), 0.6),
           Layer("lead", ("clean guitar", "pipes", "distorted guitar", "reeds"), ())),
          ("swing", "syncopated"), ("VVSV", "VCSC", "VSCV"), (), (0.62, 0.67), 1.0, 9.0,
          invent=0.05),
    Style("ska punk", (146, 170), (("major", 3.0), ("minor", 1.0), ("mixolydian", 1.0)), "rock",
          ("ska", "punk"), BAND, ("eighths", "walking", "roots and fifths"), ("electric bass",),
          (Layer("chords", ("clean guitar", "distorted guitar"), ("skank fast", "eighths")),
           Layer("riff", ("brass", "solo brass"), ()),
           Layer("chords", ("organ",), ("skank fast", "bubble"), 0.6),
           Layer("lead", ("solo brass", "reeds"), (), 0.5)),
          ("pop", "syncopated"), SONG, ("tambourine",), human=6.0, backing=0.6),
)  # fmt: skip

STYLES: dict[str, Style] = {style.name: style for style in _ALL}
