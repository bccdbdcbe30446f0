"""A multitrack recording in memory."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import Tensor

from common import SOURCES


@dataclass(frozen=True, eq=False)
class Track:
    """A multitrack recording in memory.

    sources: (s, c, t), float32, in the order of `source_names`; mixture: (c, t), their sum unless
    the recording brings its own; `folder` holds notes and sections where the songs are ours.
    """

    name: str
    sources: Tensor
    sample_rate: int
    source_names: tuple[str, ...] = SOURCES
    recorded_mixture: Tensor | None = None
    folder: Path | None = None

    @cached_property
    def mixture(self) -> Tensor:
        """What the listener hears, `(c, t)`."""
        return self.sources.sum(dim=0) if self.recorded_mixture is None else self.recorded_mixture

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.sources.shape[-1] / self.sample_rate

    @property
    def n_samples(self) -> int:
        """Length in samples."""
        return self.sources.shape[-1]

    def read(self, source: int, first: int, n_samples: int) -> Tensor:
        """Samples `first` to `first + n_samples` of one source by index, `(c, t)`."""
        return self.sources[source, :, first : first + n_samples]

    def __getitem__(self, source: str) -> Tensor:
        """One source by name, `(c, t)`; "accompaniment" is everything but the vocals."""
        if source == "accompaniment":
            return self.sources.sum(dim=0) - self["vocals"]
        if source not in self.source_names:
            raise KeyError(f"no source {source!r}: {self.name} has {', '.join(self.source_names)}")
        return self.sources[self.source_names.index(source)]

    @cached_property
    def notes(self) -> dict[str, list[tuple[float, float]]] | None:
        """Start and end in seconds of every note of each source; None where nobody wrote them."""
        if self.folder is None or not (self.folder / "notes.mid").exists():
            return None
        import pretty_midi

        score = json.loads((self.folder / "song.json").read_text(encoding="utf-8"))
        stem_of = {part["name"]: part["stem"] for part in score["parts"]}
        found = {source: [] for source in self.source_names}
        for part in pretty_midi.PrettyMIDI(str(self.folder / "notes.mid")).instruments:
            found[stem_of[part.name]] += [(note.start, note.end) for note in part.notes]
        return found

    def excerpt(self, start: float, seconds: float) -> Track:
        """The stretch of `seconds` that begins at `start`, both in seconds; it knows no notes."""
        first = round(start * self.sample_rate)
        window = slice(first, first + round(seconds * self.sample_rate))
        mixture = None if self.recorded_mixture is None else self.recorded_mixture[:, window]
        return Track(
            self.name, self.sources[..., window], self.sample_rate, self.source_names, mixture
        )
