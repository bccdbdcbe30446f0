"""When does a source sound? Labels from a song's own notes, and a net that answers with them.

A label travels to the net as a third channel of the audio, between left and right: so it goes
through `Excerpts` with its stem, from song to song, and neither loader nor loop knows of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from common.errors import UsageError
from common.losses import PhaseSensitiveObjective
from common.stft import STFT
from common.tracks import Track


def note_gate(track: Track, source: str = "vocals") -> Tensor:
    """1 at every sample where the score has a note of `source`, else 0: (t,).

    Raises UsageError where nobody wrote the notes down.
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
    return replace(track, sources=torch.cat([left, gates, right], dim=1))


def active_frames(gate: Tensor, stft: STFT) -> Tensor:
    """Whether the gate is open at the centre of each frame.

    gate: (..., t), zero where closed → (..., n), 0 or 1.
    """
    hop = stft.hop_length
    padded = functional.pad(gate, (0, -gate.shape[-1] % hop + 1))
    return (padded[..., ::hop] != 0).to(torch.float32)


@dataclass(frozen=True)
class ActivityObjective:
    """Masks and activity at once; `weight` is how much the second counts.

    mixture: (b, 2, t) and sources: (b, s, 2, t) as `with_gate` makes them, a
    side of the sound and the gate, which a gain may have scaled. The net
    answers with masks (b, s, c, f, n) and activity (b, n), whose sigmoid is
    a probability.
    """

    stft: STFT
    weight: float = 0.1

    def __call__(
        self, net: nn.Module, mixture: Tensor, sources: Tensor
    ) -> Tensor:
        sound, gate = mixture[:, :1], mixture[:, 1]
        answer = net(self.stft(sound).abs())
        masking = PhaseSensitiveObjective(self.stft)
        error = masking(lambda _: answer.masks, sound, sources[:, :, :1])
        told = functional.binary_cross_entropy_with_logits(
            answer.activity, active_frames(gate, self.stft)
        )
        return error + self.weight * told


def area_under_curve(told: Tensor, active: Tensor) -> float:
    """How often an active frame is told louder than a silent one, ties half.

    told: (n,), any numbers; active: (n,), 0 or 1 → 0.5 for guessing, 1 for
    never wrong. The area under the receiver's operating curve, Fawcett 2006.
    """
    order, ranks = told.unique(return_inverse=True)
    counts = torch.bincount(ranks, minlength=len(order)).double()
    middle = counts.cumsum(0) - (counts - 1) / 2  # the mean place of equals
    on = active.bool()
    n_on, n_off = on.sum().item(), (~on).sum().item()
    above = middle[ranks][on].sum().item() - n_on * (n_on + 1) / 2
    return above / (n_on * n_off)
