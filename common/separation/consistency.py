"""Mixture consistency: stems that add up to the mixture."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from common.separation.separators import Separator, leaves_a_rest
from common.support.errors import UsageError


def share_equally(stems: Tensor, mixture: Tensor) -> Tensor:
    """Add to every stem an equal share of the residual, the mixture minus all stems.

    stems: (b, s, c, t), mixture: (b, c, t) → (b, s, c, t), which add up to the mixture. Of all such
    stems, these are the nearest to the given ones, so the total energy of the errors cannot grow.
    Wisdom et al. 2019.
    """
    lacking = mixture - stems.sum(dim=1)
    return stems + lacking[:, None] / stems.shape[1]


class Consistent(nn.Module):
    """A separator's stems, with the residual of the mixture shared equally among them.

    mixture: (b, c, t) → stems: (b, s, c, t). Raises UsageError for a separator that gives only some
    of the mixture's sources.
    """

    def __init__(self, separator: Separator):
        super().__init__()
        if leaves_a_rest(separator.sources):
            given = " and ".join(separator.sources)
            raise UsageError(f"{given} alone cannot add up to the mixture")
        self.separator, self.sources = separator, separator.sources
        self.sample_rate, self.n_channels = separator.sample_rate, separator.n_channels
        self.segment = separator.segment

    def listen(self, segments: Iterable[Tensor]) -> Consistent:
        """A copy whose separator has processed the recording, if it has a method `listen`."""
        listen = getattr(self.separator, "listen", None)
        return Consistent(listen(segments)) if listen else self

    @torch.inference_mode()
    def forward(self, mixture: Tensor) -> Tensor:
        return share_equally(self.separator(mixture), mixture)
