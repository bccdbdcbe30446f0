"""When a source is active, by a song's own notes.

The label is a third channel of the audio, between left and right, so `Excerpts` treats it like its
stem, and neither the loader nor the training loop has to know about it.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from common.data.tracks import Track
from common.signal.stft import STFT
from common.support.errors import UsageError


def note_gate(track: Track, source: str = "vocals") -> Tensor:
    """1 at every sample where the score has a note of `source`, else 0: (t,).

    Raises UsageError for a track without notes.
    """
    if track.notes is None:
        raise UsageError(f"{track.name} has no notes: take embedded songs")
    gate = torch.zeros(track.n_samples)
    for start, end in track.notes[source]:
        first, last = (round(x * track.sample_rate) for x in (start, end))
        gate[first:last] = 1.0
    return gate


def with_gate(track: Track, source: str = "vocals") -> Track:
    """The stereo track with a third channel per stem, between left and right.

    It holds `note_gate` in the stem of `source` and silence in the others, so
    `Excerpts(…, n_channels=2)` gives one side of the sound and the gate, also
    where sides are swapped.
    """
    gates = torch.zeros(len(track.sources), 1, track.n_samples)
    gates[track.source_names.index(source)] = note_gate(track, source)
    left, right = track.sources[:, :1], track.sources[:, 1:]
    sources = torch.cat([left, gates, right], dim=1)
    return replace(track, sources=sources, recorded_mixture=None)


def active_frames(gate: Tensor, stft: STFT) -> Tensor:
    """Whether the gate is open at the centre of each frame.

    gate: (..., t), zero where closed → (..., n), 0 or 1.
    """
    hop = stft.hop_length
    padded = functional.pad(gate, (0, -gate.shape[-1] % hop + 1))
    return (padded[..., ::hop] != 0).to(torch.float32)
