"""What do the parts of D3Net contribute? One small net, one number of steps, five variants.

The net with multi-dilated convolutions, without dilation, and with one dilation per layer; with one
band instead of two; and with one net per source instead of one for all. Each is trained from three
seeds. `python -m common.experiments.d3net` rewrites book/results/d3net.json row by row; an
interrupted run continues.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from common import SOURCES
from common.data.embedded import SONG_SETS, embedded_tracks
from common.data.excerpts import Excerpts
from common.data.tracks import Track
from common.evaluation.metrics import bleeding, sdr
from common.experiments.resumable import RESULTS, run_rows
from common.experiments.trial import facts, trial
from common.models.d3_blocks import D2Block, NormConv
from common.models.d3_sizes import BandSize
from common.models.d3net import D3Net
from common.models.unet import PerSource
from common.recipes.recipe import BENCH_STFT
from common.separation.any_length import separate
from common.separation.separators import MaskSeparator
from common.training.config import TrainConfig
from common.training.objectives import PhaseSensitiveObjective

CONFIG = {"steps": 100, "batch_size": 4, "learning_rate": 5e-3}
SECONDS = 1.0
SEEDS = [0, 1, 2]


class OneDilationBlock(nn.Module):
    """A dense block in which each layer reads all its inputs with one dilation, doubled per layer.

    x: (b, i, f, n) → (b, growth, f, n). A `D2Block` gives each input a dilation of its own instead.
    """

    def __init__(self, n_in: int, growth: int, n_layers: int):
        super().__init__()
        self.layers = nn.ModuleList(
            NormConv(n_in + j * growth, growth, dilation=2**j) for j in range(n_layers)
        )

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            found = layer(x)
            x = torch.cat([x, found], dim=1)
        return found


def small(width: float = 1.0, one_band: bool = False, n_sources: int = 4) -> D3Net:
    """The net of the live recipe: `width` times its channels, and one band or two."""

    def slim(*channels: int) -> tuple[int, ...]:
        return tuple(round(width * n) for n in channels)

    low = BandSize(
        1024 if one_band else 256,
        *slim(8),
        slim(8, 12, 16, 12, 8),
        (3, 3, 4, 3, 3),
        (1, 1, 2, 1, 1),
    )
    high = BandSize(768, *slim(8), slim(4, 4, 4), (1, 1, 1), (1, 1, 1))
    full = BandSize(
        1024,
        *slim(8),
        slim(8, 12, 16, 20, 16, 12, 8),
        (1, 3, 3, 4, 3, 3, 1),
        (1, 1, 1, 2, 1, 1, 1),
    )
    return D3Net(
        BENCH_STFT.n_bins,
        n_sources,
        n_channels=1,
        fold=2,
        bands=(low,) if one_band else (low, high),
        full=full,
        growth=slim(8)[0],
        n_layers=2,
    )


def undilated(net: nn.Module) -> nn.Module:
    """The same net with all of its dilations set to 1, in place."""
    for module in net.modules():
        if isinstance(module, NormConv):
            module.conv.dilation = module.conv.padding = (1, 1)
    return net


def one_dilation_per_layer(net: nn.Module) -> nn.Module:
    """The same net with every `D2Block` replaced by a `OneDilationBlock`, in place."""
    for name, child in net.named_children():
        if isinstance(child, D2Block):
            n_in = child.layers[0].conv.in_channels
            setattr(net, name, OneDilationBlock(n_in, child.growth, len(child.layers)))
        else:
            one_dilation_per_layer(child)
    return net


def each_source() -> PerSource:
    """Four nets of half the width, with about as many weights together as the one net."""
    return PerSource({source: small(0.5, n_sources=1) for source in SOURCES})


VARIANTS: dict[str, Callable[[], nn.Module]] = {
    "multi-dilated": small,
    "undilated": lambda: undilated(small()),
    "one dilation per layer": lambda: one_dilation_per_layer(small()),
    "one band": lambda: small(one_band=True),
    "one net per source": each_source,
}
"""Name of a variant → a function that makes the untrained net."""


def judge(separator: MaskSeparator, tracks: list[Track]) -> dict:
    """Mean SDR of every stem, mean bleeding of drums into vocals, and core seconds per track.

    SDR and bleeding in dB, over the middle halves of the tracks; silent stems are left out.
    """
    tracks = [track.excerpt(track.duration / 4, track.duration / 2) for track in tracks]
    begin = time.process_time()
    songs = [(t.sources, separate(separator, t.mixture, t.sample_rate)) for t in tracks]
    seconds = (time.process_time() - begin) / len(tracks)
    drums, vocals = SOURCES.index("drums"), SOURCES.index("vocals")
    leaks = torch.stack([bleeding(true, stems)[drums, vocals] for true, stems in songs])
    found = torch.stack([sdr(true, stems) for true, stems in songs]).nanmean(dim=0)
    return {
        "sdr": dict(zip(SOURCES, found.tolist(), strict=True)),
        "drums_in_vocals": leaks.nanmean().item(),
        "seconds": seconds,
    }


def measure(key: dict) -> dict:
    """Train one variant from one seed. "valid" is for choosing, "test" for reporting only."""
    tracks = embedded_tracks("train", songs=SONG_SETS["live"])
    excerpts = Excerpts(tracks, SECONDS, key["seed"], n_channels=1)
    objective = PhaseSensitiveObjective(BENCH_STFT)
    done = trial(VARIANTS[key["variant"]], objective, excerpts, TrainConfig(**CONFIG), key["seed"])
    separator = MaskSeparator(done.net, BENCH_STFT, segment=SECONDS).eval()
    return {
        "parameters": done.n_parameters,
        "training_seconds": done.core_seconds,
        "loss": done.last_loss,
        "valid": judge(separator, embedded_tracks("valid", songs=SONG_SETS["live"])),
        "test": judge(separator, embedded_tracks("test", songs=SONG_SETS["live"])),
    }


def main() -> None:
    """Fill in the rows that are missing."""
    about = facts(
        config=CONFIG,
        seconds_per_excerpt=SECONDS,
        net="the live recipe's D3Net",
        objective="phase-sensitive error",
    )
    keys = [{"variant": name, "seed": seed} for seed in SEEDS for name in VARIANTS]
    run_rows(RESULTS / "d3net.json", about, keys, measure)


if __name__ == "__main__":
    main()
