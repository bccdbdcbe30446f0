"""Mixtures made from stems by Scaper, each with a JAMS annotation that describes it.

`write_bank` writes stems in Scaper's layout; a `Mixer` draws events from that bank, edits them and
renders them with Scaper. Salamon et al. 2017; Manilow, Seetharaman and Salamon 2020.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from common import SAMPLE_RATE, SOURCES
from common.data.augmentation import write_track_folder
from common.data.tracks import Track
from common.support.errors import UsageError
from common.support.files import check_place, write_whole

if TYPE_CHECKING:
    import jams
    import scaper

REFERENCE = -23.0
"""The loudness in LUFS to which Scaper's event levels are relative."""

EVER = 1e6
"""Longer than any song, in seconds: Scaper limits a duration to what the file has."""


def write_bank(tracks: Sequence[Track], bank: Path) -> Path:
    """Write stems in Scaper's layout, a folder per label: `bank/drums/SONG.wav`.

    32-bit floats. Existing files are kept; returns `bank`. Raises UsageError for samples at or
    above full scale, which SoX would clip or wrap.
    """
    import soundfile

    check_place(bank / "x")
    for track in tracks:
        form = {
            "samplerate": track.sample_rate,
            "subtype": "FLOAT",
            "format": "WAV",
        }
        for source, audio in zip(
            track.source_names, track.sources, strict=True
        ):
            path = bank / source / f"{track.name}.wav"
            if audio.abs().max() >= 1:
                raise UsageError(f"{source} of {track.name} reaches full scale: lower its level")
            if not path.exists():
                write_whole(
                    path,
                    partial(soundfile.write, data=audio.T.numpy(), **form),
                )
    return bank


def soundscape(
    bank: Path, seconds: float, random_state: int | None = None
) -> scaper.Scaper:
    """An empty Scaper over a bank of stems, stereo, at the book's rate.

    No fades, so that an unchanged event equals its file sample by sample.
    """
    from common.support.scaper_compat import scaper

    empty = scaper.Scaper(seconds, str(bank), str(bank), [], random_state)
    empty.sr, empty.n_channels, empty.ref_db = SAMPLE_RATE, 2, REFERENCE
    empty.fade_in_len = empty.fade_out_len = 0
    return empty


def events_of(annotation: jams.JAMS) -> list[dict]:
    """The events of a mixture as Scaper describes them, in the order of its audio."""
    return [
        seen.value
        for seen in annotation.annotations.search(namespace="scaper")[0].data
    ]


def loudness(event: dict) -> float:
    """Loudness of an event in its file in LUFS; silence counts as -70.

    ITU-R BS.1770: frequencies are weighted roughly as in hearing, and quiet
    passages are left out.
    """
    import soundfile

    from common.support.scaper_compat import scaper

    path = event["source_file"]
    rate = soundfile.info(path).samplerate
    first = int(event["source_time"] * rate)
    last = int((event["source_time"] + event["event_duration"]) * rate)
    audio, _ = soundfile.read(path, last - first, first, always_2d=True)
    return scaper.audio.get_integrated_lufs(audio, rate)


def as_in_the_mix(event: dict) -> dict:
    """Make an event's level relative to its own loudness in the file."""
    own = float(loudness(event)) - REFERENCE
    return event | {"snr": event["snr"] + own}


def together(events: list[dict]) -> list[dict]:
    """Give all events the song, time, pitch and tempo of the first one."""
    first = events[0]
    song = Path(first["source_file"]).name
    shared = ("source_time", "event_duration", "pitch_shift", "time_stretch")
    kept = {name: first[name] for name in shared}
    return [
        event
        | kept
        | {"source_file": str(Path(event["source_file"]).with_name(song))}
        for event in events
    ]


def play(
    bank: Path, events: list[dict], seconds: float
) -> tuple[Track, jams.JAMS]:
    """Render events with Scaper: a track, and its annotation.

    The track's stems are the sums of the events with their label.
    """
    scene = soundscape(bank, seconds)
    for event in events:
        settled = {
            name: None if value is None else ("const", value)
            for name, value in event.items()
            if name != "role"
        }
        scene.add_event(**settled)
    _, annotation, _, played = scene.generate(
        disable_instantiation_warnings=True
    )
    sources = torch.zeros(len(SOURCES), 2, int(seconds * SAMPLE_RATE))
    for event, audio in zip(events_of(annotation), played, strict=True):
        stem = sources[SOURCES.index(event["label"])]
        stem[:, : len(audio)] += torch.from_numpy(audio.T).float()
    return Track("Scaper", sources, SAMPLE_RATE), annotation


@dataclass(frozen=True)
class Mixer:
    """Mixtures of a bank's stems, made by Scaper; item i is a `Track`.

    coherent: all stems from one song and time, or each from its own; level,
    pitch_shift, time_stretch: distributions in Scaper's form, in dB around the
    stem's own level, in semitones, in multiples of its length. Item i depends
    on `(seed, i)` alone. Manilow, Seetharaman and Salamon 2020.
    """

    bank: Path
    seconds: float
    seed: int = 0
    coherent: bool = True
    level: tuple = ("const", 0.0)
    pitch_shift: tuple | None = None
    time_stretch: tuple | None = None

    def draw(self, index: int) -> list[dict]:
        """Draw the events of mixture `index`, one per stem."""
        state = np.random.SeedSequence((self.seed, index)).generate_state(1)
        scene = soundscape(self.bank, self.seconds, int(state[0]))
        for source in SOURCES:
            scene.add_event(
                label=("const", source),
                source_file=("choose", []),
                source_time=("uniform", 0, EVER),
                event_time=("const", 0.0),
                event_duration=("const", EVER),
                snr=self.level,
                pitch_shift=self.pitch_shift,
                time_stretch=self.time_stretch,
            )
        _, annotation, _, _ = scene.generate(
            no_audio=True, disable_instantiation_warnings=True
        )
        events = events_of(annotation)
        return together(events) if self.coherent else events

    def annotated(self, index: int) -> tuple[Track, jams.JAMS]:
        """Mixture `index` and the annotation that reproduces it."""
        events = [as_in_the_mix(event) for event in self.draw(index)]
        track, annotation = play(self.bank, events, self.seconds)
        return replace(track, name=f"mixture {index:04d}"), annotation

    def __getitem__(self, index: int) -> Track:
        return self.annotated(index)[0]


def write_mixtures(mixer: Mixer, n_mixtures: int, root: Path) -> Path:
    """Render mixtures into `root/train`, in MUSDB18 layout, each with its `mixture.jams`.

    Existing mixtures are kept; returns `root`. Raises UsageError where nothing can be written.
    """
    if n_mixtures < 1:
        raise UsageError(f"{n_mixtures} mixtures: ask for at least one")
    check_place(root / "train" / "x")
    for index in range(n_mixtures):
        folder = root / "train" / f"mixture {index:04d}"
        if not folder.exists():
            track, annotation = mixer.annotated(index)
            write_track_folder(
                track, folder, {"mixture.jams": annotation.dumps(indent=1)}
            )
    return root
