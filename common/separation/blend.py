"""Blend: the weighted mean of several separators' stems."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial

import torch
from torch import Tensor, nn

from common.separation.overlap_add import Again, Plan, net_input, separate_segment
from common.separation.separators import Separator
from common.support.errors import UsageError


class Blend(nn.Module):
    """The weighted mean of the stems of separators that give the same sources.

    parts: name → separator; weights: (parts, s), those of a source add up to 1 (by default all
    parts count alike). mixture: (b, c, t) → stems: (b, s, c, t), at the parts' highest sample rate
    and largest number of channels. A part with a lower rate or fewer channels is used as `separate`
    uses it. Raises UsageError for parts with different sources, ValueError for other weights.
    """

    def __init__(self, parts: Mapping[str, Separator], weights: Tensor | None = None):
        super().__init__()
        separators = list(parts.values())
        self.sources = separators[0].sources
        for name, part in parts.items():
            if set(part.sources) != set(self.sources):
                given, wanted = ", ".join(part.sources), ", ".join(self.sources)
                raise UsageError(f"{name} gives {given} and cannot be blended into {wanted}")
        shape = len(parts), len(self.sources)
        weights = torch.full(shape, 1 / len(parts)) if weights is None else weights
        if weights.shape != shape or not torch.allclose(weights.sum(dim=0), torch.ones(shape[1])):
            raise ValueError(f"{weights.tolist()}: not {shape} weights that add up to 1 by source")
        self.parts, self.weights, self.name = dict(parts), weights, "+".join(parts)
        self.nets = nn.ModuleList(part for part in separators if isinstance(part, nn.Module))
        self.sample_rate = max(part.sample_rate for part in separators)
        self.n_channels = max(part.n_channels for part in separators)
        self.segment = min(part.segment for part in separators)

    def listen(self, segments: Iterable[Tensor]) -> Blend:
        """A blend whose parts have processed the recording, if they have a method `listen`.

        segments: (b, c, t), iterated once for each such part.
        """
        parts = {}
        for name, part in self.parts.items():
            listen = getattr(part, "listen", None)
            again = Again(partial(self._inputs, part, segments))
            parts[name] = listen(again) if listen else part
        return Blend(parts, self.weights)

    def _inputs(self, part: Separator, segments: Iterable[Tensor]) -> Iterator[Tensor]:
        for segment in segments:
            for audio in segment.cpu():
                yield net_input(part, audio, self._plan(part))[1].to(segment.device)

    def _plan(self, part: Separator) -> Plan:
        return Plan.make(self.segment, self.sample_rate, part.sample_rate)

    @torch.inference_mode()
    def forward(self, mixture: Tensor) -> Tensor:
        return torch.stack([self._blend(x, mixture.device) for x in mixture.cpu()])

    def _blend(self, mixture: Tensor, device: torch.device) -> Tensor:
        """One recording (c, t), on the CPU → stems (s, c, t) on the device of the nets."""
        blended = 0.0
        for weights, part in zip(self.weights, self.parts.values(), strict=True):
            stems = separate_segment(part, mixture, self._plan(part), device)
            order = [part.sources.index(source) for source in self.sources]
            blended = blended + weights[:, None, None] * stems[order]
        return blended.to(device)
