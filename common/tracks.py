"""A multitrack recording in memory."""

from __future__ import annotations

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

    def excerpt(self, start: float, seconds: float) -> Track:
        """The stretch of `seconds` that begins at `start`, both in seconds."""
        first = round(start * self.sample_rate)
        window = slice(first, first + round(seconds * self.sample_rate))
        mixture = None if self.recorded_mixture is None else self.recorded_mixture[:, window]
        return Track(
            self.name, self.sources[..., window], self.sample_rate, self.source_names, mixture
        )
