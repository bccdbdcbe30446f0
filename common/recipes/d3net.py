"""The recipes of D3Net: chapter 17."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from common import SOURCES
from common.data.embedded import SONG_SETS
from common.models.d3_sizes import PUBLISHED, BandSize
from common.models.d3net import D3Net
from common.models.unet import PerSource
from common.recipes.recipe import Recipe, mask_net
from common.separation.separators import WienerSeparator
from common.signal.stft import STFT
from common.training.config import TrainConfig
from common.training.objectives import PhaseSensitiveObjective


def _d3net(seconds: float, *settings: object, n_channels: int = 1, **size: object) -> Recipe:
    """A D3Net for four sources; it looks further than its excerpts, so it works in such pieces."""
    return mask_net(
        partial(D3Net, n_bins=1025, n_sources=4, n_channels=n_channels),
        seconds,
        *settings,
        n_channels=n_channels,
        objective=PhaseSensitiveObjective,
        separator=partial(WienerSeparator, segment=seconds),
        **size,
    )


_D3_SMALL = {
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
}


_PUBLISHED = {source: {"bands": bands, "full": full} for source, (bands, full) in PUBLISHED.items()}


def published_d3nets(
    n_bins: int = 2049, sizes: Mapping[str, Mapping[str, object]] = _PUBLISHED, **shared: object
) -> PerSource:
    """The four nets of Takahashi and Mitsufuji's published configurations."""
    return PerSource({s: D3Net(n_bins, **sizes[s], **shared) for s in SOURCES})


# One net for four sources: four nets, as published, cost a CPU too much.
D3NET: dict[str, Recipe] = {
    "smoke": _d3net(
        1.0,
        TrainConfig(steps=8, batch_size=2),
        SONG_SETS["smoke"],
        bands=(BandSize(1024, 4, (4, 4, 4), (2, 2, 2), (1, 2, 1)),),
        full=BandSize(1024, 4, (4, 4, 4), (2, 2, 2), (1, 1, 1)),
        growth=4,
        n_layers=2,
        fold=2,
    ),
    "live": _d3net(
        1.0,
        TrainConfig(steps=120, batch_size=4, learning_rate=5e-3),
        SONG_SETS["live"],
        **_D3_SMALL,
    ),
    "live-gpu": _d3net(
        3.0,
        TrainConfig(steps=600, batch_size=16, learning_rate=2e-3),
        SONG_SETS["live"],
        bands=(
            BandSize(256, 32, (16, 18, 20, 22, 20, 18, 16), (5, 5, 5, 5, 4, 4, 4), (2,) * 7),
            BandSize(768, 8, (2,) * 5, (1,) * 5, (1,) * 5),
        ),
        full=BandSize(
            1024,
            32,
            (13, 14, 15, 16, 17, 16, 14, 12, 11),
            (4, 5, 6, 7, 8, 6, 5, 4, 4),
            (2,) * 9,
        ),
        fold=2,
    ),
    "zoo": _d3net(
        2.0,
        TrainConfig(steps=6000, batch_size=4, learning_rate=3e-3, validate_every=1000),
        SONG_SETS["zoo"],
        bands=(
            BandSize(
                256,
                16,
                (12, 16, 20, 24, 20, 16, 12),
                (3, 4, 4, 4, 4, 4, 3),
                (1, 1, 1, 2, 1, 1, 1),
            ),
            BandSize(768, 8, (4,) * 5, (1,) * 5, (1,) * 5),
        ),
        full=BandSize(
            1024, 8, (8, 12, 20, 32, 20, 12, 8), (1, 3, 4, 4, 4, 3, 1), (1, 1, 1, 2, 1, 1, 1)
        ),
        growth=12,
        n_layers=2,
        fold=2,
        n_channels=2,
    ),
    # The published sizes; the authors train each net by itself, on magnitudes.
    "paper": mask_net(
        published_d3nets,
        6.0,
        TrainConfig(steps=200_000, batch_size=6, validate_every=2000, save_every=2000),
        SONG_SETS["zoo"],
        STFT(4096, 1024),
        sample_rate=44100,
        objective=PhaseSensitiveObjective,
        separator=partial(WienerSeparator, segment=6.0),
        n_channels=2,
    ),
}
"""Scale → recipe."""
