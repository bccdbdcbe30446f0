"""A multitrack recording in memory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import Tensor

from common import SOURCES
from common.support.errors import UsageError


def parts_of(target: str, stems: Sequence[str]) -> list[int]:
    """Which of a track's stems make up a target, as indices into `stems`.

    A stem's name means that stem; "no_drums" is all but the drums; "accompaniment" is all but the
    vocals, whatever other targets there are. Raises UsageError for any other name.
    """
    if target in stems:
        return [stems.index(target)]
    left_out = "vocals" if target == "accompaniment" else target.removeprefix("no_")
    parts = [i for i, stem in enumerate(stems) if stem != left_out]
    if left_out == target or left_out not in stems or not parts:
        raise UsageError(f"no source {target!r} in a track with {', '.join(stems)}")
    return parts


@dataclass(frozen=True, eq=False)
class Track:
    """A multitrack recording in memory.

    sources: (s, c, t), float32, in the order of `source_names`; mixture: (c, t), their sum unless
    the recording has its own; `folder` holds the notes and sections of an embedded song.
    """

    name: str
    sources: Tensor
    sample_rate: int
    source_names: tuple[str, ...] = SOURCES
    recorded_mixture: Tensor | None = None
    folder: Path | None = None

    @cached_property
    def mixture(self) -> Tensor:
        """The recording's own mixture, or the sum of its sources, `(c, t)`."""
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

    def __getitem__(self, target: str) -> Tensor:
        """One source, or a sum of sources, by name, `(c, t)`: what `parts_of` finds for it."""
        parts = parts_of(target, self.source_names)
        return self.sources[parts[0]] if len(parts) == 1 else self.sources[parts].sum(dim=0)

    @cached_property
    def notes(self) -> dict[str, list[tuple[float, float]]] | None:
        """Start and end in seconds of every note of each source; None for a track without them."""
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
        """The excerpt of `seconds` that begins at `start`, both in seconds, without notes."""
        first = round(start * self.sample_rate)
        window = slice(first, first + round(seconds * self.sample_rate))
        mixture = None if self.recorded_mixture is None else self.recorded_mixture[:, window]
        return Track(
            self.name, self.sources[..., window], self.sample_rate, self.source_names, mixture
        )
