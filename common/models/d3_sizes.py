"""How large the nets of D3Net's bands are, and how large the published ones were."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class BandSize(NamedTuple):
    """How large the net of one band is.

    n_bins: the number of bins in the band; n_features: feature maps of the
    first convolution; growth, n_layers, n_blocks: of the D3 block at every
    level, first in the encoder, then in the bottleneck and the decoder.
    """

    n_bins: int
    n_features: int
    growth: Sequence[int]
    n_layers: Sequence[int]
    n_blocks: Sequence[int]

    @property
    def depth(self) -> int:
        return len(self.growth) // 2


def published_small(n_bins: int, depth: int) -> BandSize:
    """The small net of the band above the lowest: one layer, growth two, at every level."""
    n_levels = 2 * depth + 1
    return BandSize(n_bins, 8, (2,) * n_levels, (1,) * n_levels, (1,) * n_levels)


def published_large(n_bins: int, growth: Sequence[int], n_layers: Sequence[int]) -> BandSize:
    """The large nets: that of the lowest band, and the one over all 1600 bins that are read."""
    return BandSize(n_bins, 32, growth, n_layers, (2,) * len(growth))


_VOCALS = (
    (
        published_large(256, (16, 18, 20, 22, 20, 18, 16), (5, 5, 5, 5, 4, 4, 4)),
        published_small(1344, 2),
    ),
    published_large(1600, (13, 14, 15, 16, 17, 16, 14, 12, 11), (4, 5, 6, 7, 8, 6, 5, 4, 4)),
)
PUBLISHED: dict[str, tuple[tuple[BandSize, BandSize], BandSize]] = {
    "vocals": _VOCALS,
    "other": _VOCALS,
    "drums": (
        (
            published_large(128, (16, 18, 20, 22, 20, 18, 16), (5, 5, 5, 4, 4, 4, 4)),
            published_small(1472, 2),
        ),
        published_large(1600, (13, 14, 15, 16, 16, 16, 14, 12, 11), (4, 5, 6, 7, 8, 6, 6, 4, 4)),
    ),
    "bass": (
        (
            published_large(192, (16, 18, 18, 20, 18, 16, 16), (5, 5, 5, 5, 4, 4, 4)),
            published_small(1408, 3),
        ),
        published_large(1600, (10, 10, 12, 14, 16, 14, 12, 8, 8), (4, 5, 6, 7, 8, 6, 6, 4, 4)),
    ),
}
"""Source → sizes of the two bands and of the net over both, from the authors' configurations."""
