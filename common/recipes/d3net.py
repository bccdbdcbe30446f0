"""The recipes of D3Net: chapter 17."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from common import SOURCES
from common.models.d3_sizes import PUBLISHED, BandSize
from common.models.d3net import D3Net
from common.models.unet import PerSource
from common.recipes.recipe import Recipe, family
from common.separation.separators import WienerSeparator
from common.training.objectives import PhaseSensitiveObjective

# One net for four sources: four nets, as published, cost a CPU too much.
_BENCH = partial(D3Net, n_bins=1025, n_sources=4, n_channels=1)


def _in_pieces(seconds: float) -> dict[str, object]:
    """Excerpts this long; the net looks further than they reach, so it works in such pieces."""
    return {"seconds": seconds, "separator": partial(WienerSeparator, segment=seconds)}


_PUBLISHED = {source: {"bands": bands, "full": full} for source, (bands, full) in PUBLISHED.items()}


def published_d3nets(
    n_bins: int = 2049, sizes: Mapping[str, Mapping[str, object]] = _PUBLISHED, **shared: object
) -> PerSource:
    """The four nets of Takahashi and Mitsufuji's published configurations."""
    return PerSource({s: D3Net(n_bins, **sizes[s], **shared) for s in SOURCES})


D3NET: dict[str, Recipe] = family(
    {"net": _BENCH, "objective": PhaseSensitiveObjective},
    {
        "smoke": {
            **_in_pieces(1.0),
            "bands": (BandSize(1024, 4, (4, 4, 4), (2, 2, 2), (1, 2, 1)),),
            "full": BandSize(1024, 4, (4, 4, 4), (2, 2, 2), (1, 1, 1)),
            "growth": 4,
            "n_layers": 2,
            "fold": 2,
        },
        "live": {
            **_in_pieces(1.0),
            "config": {"steps": 85, "learning_rate": 5e-3},
            "bands": (
                BandSize(256, 8, (8, 12, 16, 12, 8), (3, 3, 4, 3, 3), (1, 1, 2, 1, 1)),
                BandSize(768, 8, (4, 4, 4), (1, 1, 1), (1, 1, 1)),
            ),
            "full": BandSize(
                1024, 8, (8, 12, 16, 20, 16, 12, 8), (1, 3, 3, 4, 3, 3, 1), (1, 1, 1, 2, 1, 1, 1)
            ),
            "growth": 8,
            "n_layers": 2,
            "fold": 2,
        },
        "live-gpu": {
            **_in_pieces(3.0),
            "config": {"learning_rate": 2e-3},
            "bands": (
                BandSize(256, 32, (16, 18, 20, 22, 20, 18, 16), (5, 5, 5, 5, 4, 4, 4), (2,) * 7),
                BandSize(768, 8, (2,) * 5, (1,) * 5, (1,) * 5),
            ),
            "full": BandSize(
                1024,
                32,
                (13, 14, 15, 16, 17, 16, 14, 12, 11),
                (4, 5, 6, 7, 8, 6, 5, 4, 4),
                (2,) * 9,
            ),
            "fold": 2,
        },
        "zoo": {
            **_in_pieces(2.0),
            "net": partial(_BENCH, n_channels=2),
            "n_channels": 2,
            "config": {"steps": 6000, "batch_size": 4, "learning_rate": 3e-3},
            "bands": (
                BandSize(
                    256,
                    16,
                    (12, 16, 20, 24, 20, 16, 12),
                    (3, 4, 4, 4, 4, 4, 3),
                    (1, 1, 1, 2, 1, 1, 1),
                ),
                BandSize(768, 8, (4,) * 5, (1,) * 5, (1,) * 5),
            ),
            "full": BandSize(
                1024, 8, (8, 12, 20, 32, 20, 12, 8), (1, 3, 4, 4, 4, 3, 1), (1, 1, 1, 2, 1, 1, 1)
            ),
            "growth": 12,
            "n_layers": 2,
            "fold": 2,
        },
        # The published sizes; the authors train each net by itself, on magnitudes.
        "paper": {
            **_in_pieces(6.0),
            "net": published_d3nets,
            "n_channels": 2,
            "config": {"batch_size": 6},
        },
    },
)
"""Scale → recipe."""
