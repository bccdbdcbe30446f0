"""What does each part of Open-Unmix gain? Small nets that lack one part each, three seeds.

`python -m common.experiments.open_unmix` rewrites book/results/open_unmix.json row by row; an
interrupted run continues.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import Dataset

from common import SOURCES
from common.data.embedded import SONG_SETS, embedded_tracks
from common.data.excerpts import Excerpts
from common.data.real_music import real_excerpt
from common.data.tracks import Track
from common.evaluation.per_track import evaluate, evaluate_track
from common.experiments.resumable import RESULTS, run_rows
from common.experiments.trial import Trial, facts, trial
from common.models.open_unmix import OpenUnmix, scale_input
from common.recipes.recipe import BENCH_STFT
from common.separation.separators import MaskSeparator
from common.training.config import TrainConfig
from common.training.objectives import PhaseSensitiveObjective


class Ablated(OpenUnmix):
    """Open-Unmix without its compression or without its skip connection.

    compress: whether the BLSTM reads features, or every bin itself; skip: whether a skip
    connection leads the features past the BLSTM.
    """

    def __init__(self, compress: bool = True, skip: bool = True, **size: int | float):
        super().__init__(**size)
        self.compress, self.skip = compress, skip
        n_inputs, n_features = self.fc1.in_features, self.fc1.out_features
        if not compress:
            self.lstm = nn.LSTM(n_inputs, n_features // 2, bidirectional=True)
        if not skip:
            self.fc2 = nn.Linear(n_features, n_features, bias=False)

    def forward(self, magnitude: Tensor) -> Tensor:
        b, c = magnitude.shape[:2]
        seen = magnitude[:, :, : len(self.input_mean)].transpose(2, 3)
        seen = rearrange((seen + self.input_mean) * self.input_scale, "b c n f -> n b (c f)")
        x = rearrange(torch.tanh(self.bn1(self.fc1(seen.flatten(0, 1)))), "(n b) d -> n b d", b=b)
        read = self.lstm(x if self.compress else seen)[0]
        x = (torch.cat([x, read], dim=-1) if self.skip else read).flatten(0, 1)
        x = functional.relu(self.bn2(self.fc2(x)))
        x = rearrange(self.bn3(self.fc3(x)), "(n b) (c f) -> b c n f", b=b, c=c)
        mask = functional.relu(x * self.output_scale + self.output_mean)
        return rearrange(mask, "b c n f -> b 1 c f n")


class OneSided(nn.Module):
    """A net for one channel that processes left and right as if they were two recordings."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, magnitude: Tensor) -> Tensor:
        masks = self.net(rearrange(magnitude, "b c f n -> (b c) 1 f n"))
        return rearrange(masks, "(b c) s 1 f n -> b s c f n", c=magnitude.shape[1])


VARIANTS: dict[str, tuple[Callable[..., nn.Module], bool]] = {
    "whole": (OpenUnmix, True),
    "no input scaling": (OpenUnmix, False),
    "no compression": (partial(Ablated, compress=False), True),
    "no skip": (partial(Ablated, skip=False), True),
    "one channel at a time": (lambda **size: OneSided(OpenUnmix(n_channels=1, **size)), True),
}
"""What is trained: the net, and whether its input is scaled first."""

TARGET = "vocals"
SIZE = {"n_bins": BENCH_STFT.n_bins, "max_bin": 743, "hidden_size": 32, "n_layers": 1}
CONFIG = TrainConfig(steps=400, batch_size=4, learning_rate=1e-2)
SECONDS = 1.0
SEEDS = [0, 1, 2]


@dataclass(frozen=True, eq=False)
class OnlyTarget(Dataset):
    """Excerpts with one source: mixture (c, t), sources (1, c, t)."""

    excerpts: Excerpts

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        mixture, sources = self.excerpts[index]
        wanted = SOURCES.index(TARGET)
        return mixture, sources[wanted : wanted + 1]


def learn(variant: str, seed: int, tracks: list[Track], steps: int = CONFIG.steps) -> Trial:
    """One variant, trained on these songs from one seed."""
    make, scaled = VARIANTS[variant]
    return trial(
        partial(make, **SIZE),
        PhaseSensitiveObjective(BENCH_STFT),
        OnlyTarget(Excerpts(tracks, SECONDS, seed)),
        replace(CONFIG, steps=steps),
        seed,
        prepare=partial(scale_input, stft=BENCH_STFT) if scaled else None,
    )


def scores(separator: object) -> dict:
    """SDR and bleeding in dB, medians over the songs of each kind; "test" only reports."""
    found = {
        split: evaluate(separator, embedded_tracks(split, songs=SONG_SETS["live"]), progress=False)
        for split in ("valid", "test")
    }
    sdr = {split: results["median"]["sdr"] for split, results in found.items()}
    sdr["excerpt"] = evaluate_track(separator, real_excerpt())["sdr"]
    return {"sdr": sdr, "bleeding": found["test"]["bleeding"]}


def measure(key: dict) -> dict:
    """Train one variant from one seed and evaluate it without a filter after it."""
    tracks = embedded_tracks("train", songs=SONG_SETS["live"])
    done = learn(key["variant"], key["seed"], tracks)
    return {
        **scores(MaskSeparator(done.net, BENCH_STFT, (TARGET,))),
        "losses": [round(loss, 4) for loss in done.history.losses[::10]],
        "parameters": done.n_parameters,
        "seconds": round(done.core_seconds),
    }


def main() -> None:
    """Fill in the rows that are missing."""
    about = facts(
        size=SIZE,
        steps=CONFIG.steps,
        batch_size=CONFIG.batch_size,
        learning_rate=CONFIG.learning_rate,
        seconds_per_excerpt=SECONDS,
        target=TARGET,
        objective="phase-sensitive error",
    )
    keys = [{"variant": variant, "seed": seed} for seed in SEEDS for variant in VARIANTS]
    run_rows(RESULTS / "open_unmix.json", about, keys, measure)


if __name__ == "__main__":
    main()
