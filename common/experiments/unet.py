"""What does each part of a U-Net contribute? One net, one change at a time, the same steps.

`python -m common.experiments.unet` rewrites book/results/unet.json row by row; an interrupted run
continues. A row is one variant trained from one seed; the first one is the mask net of chapter 11.
Like Jansson et al. we use a low sample rate, so that a step is cheaper and more steps are possible.
SDR at this rate can be compared only within this experiment.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict
from functools import partial

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from common import SOURCES
from common.data.activity import active_frames, note_gate, with_gate
from common.data.embedded import SONG_SETS, embedded_songs
from common.data.excerpts import Excerpts
from common.data.musdb_folder import load_tracks
from common.data.tracks import Track
from common.evaluation.metrics import area_under_curve, bleeding, sdr
from common.experiments.resumable import RESULTS, run_rows
from common.experiments.trial import facts, trial
from common.models.chimera import MaskBranch
from common.models.mask_inference import MaskInference
from common.models.unet import Patchwise, PerSource, UNet
from common.models.unet_double import DoubleUNet
from common.models.unet_variants import (
    ActivityUNet,
    BandWise,
    ConditionedUNet,
    NarrowSkipUNet,
    SharedMasks,
    SoftmaxUNet,
)
from common.separation.any_length import separate
from common.separation.separators import MaskSeparator
from common.signal.stft import STFT
from common.training.config import TrainConfig
from common.training.objectives import ActivityObjective, PhaseSensitiveObjective

SAMPLE_RATE = 11025
TRANSFORM = STFT(1024, 512)
SECONDS = 1.4
PATCH, MARGIN = 32, 8
"""Frames of an excerpt and of a patch in which songs are separated, so that five levels need no
padding; and how many frames at each end of a patch serve only as context."""

CONFIG = TrainConfig(steps=600, batch_size=4, learning_rate=3e-3)
SIZE = {"dropout": 0.0, "power": 0.3}
CHANNELS = (8, 16, 32, 64, 64)
EDGES = (256,)
"""The lower band ends at 2.8 kHz."""

VARIANTS: dict[str, Callable[[], nn.Module]] = {
    "mask net of chapter 11": partial(MaskInference, TRANSFORM.n_bins, hidden_size=64),
    "U-Net": partial(UNet, channels=CHANNELS, **SIZE),
    "no skips": partial(NarrowSkipUNet, 0.0, channels=CHANNELS, **SIZE),
    "narrow skips": partial(NarrowSkipUNet, 0.25, channels=CHANNELS, **SIZE),
    "2 levels": partial(UNet, channels=CHANNELS[:2], **SIZE),
    "3 levels": partial(UNet, channels=CHANNELS[:3], **SIZE),
    "6 levels": partial(UNet, channels=(*CHANNELS, 64), **SIZE),
    "softmax": partial(SoftmaxUNet, channels=CHANNELS, **SIZE),
    "ratio": lambda: SharedMasks(UNet(channels=CHANNELS, **SIZE)),
    "four nets": lambda: four_nets(),
    "two bands": lambda: two_bands(),
    "voice activity": partial(ActivityUNet, channels=CHANNELS, **SIZE),
    "conditioned": partial(ConditionedUNet, channels=CHANNELS, **SIZE),
    "double convolutions": partial(DoubleUNet, channels=CHANNELS[:4], power=SIZE["power"]),
}
"""Name → net: the U-Net of the live recipe, and the same net with one part changed."""

SEEDS = [0, 1]


def four_nets() -> PerSource:
    """A net of its own for each source, half as wide: together as many weights as one net."""
    channels = [n // 2 for n in CHANNELS]
    return PerSource({source: UNet(1, channels, **SIZE) for source in SOURCES})


def two_bands() -> BandWise:
    """Two U-Nets, with many feature maps for the low band and few for the high band."""
    low = UNet(channels=[n * 3 // 2 for n in CHANNELS], **SIZE)
    high = UNet(channels=[n // 2 for n in CHANNELS], **SIZE)
    return BandWise([low, high], EDGES)


@functools.cache
def songs(split: str) -> list[Track]:
    """The songs of the live set at the experiment's rate."""
    return load_tracks(embedded_songs(SONG_SETS["live"]), split, SAMPLE_RATE)


def judged() -> list[Track]:
    """The middle half of every test song; used for reporting only, not for choosing."""
    return [track.excerpt(track.duration / 4, track.duration / 2) for track in songs("test")]


def crossings(estimates: Tensor, sources: Tensor) -> tuple[float, float]:
    """Mean bleeding of every stem into every other, and of drums into vocals, in dB."""
    leaks = bleeding(sources, estimates)
    others = ~torch.eye(len(leaks), dtype=torch.bool)
    return leaks[others].nanmean().item(), leaks[0, 3].item()


def mean_of(rows: list[Tensor]) -> list[float]:
    """The mean over tracks, without the tracks in which a stem is silent (NaN)."""
    return [round(x, 4) for x in torch.stack(rows).nanmean(dim=0).tolist()]


def measure_tracks(separator: MaskSeparator, tracks: list[Track]) -> dict:
    """Mean SDR per stem and mean bleeding in dB, and speed on one core."""
    ratios, leaks, seconds = [], [], 0.0
    for track in tracks:
        begin = time.process_time()
        estimates = separate(separator, track.mixture, track.sample_rate)
        seconds += time.process_time() - begin
        ratios.append(sdr(track.sources, estimates))
        leaks.append(torch.tensor(crossings(estimates, track.sources)))
    between, drums_in_vocals = mean_of(leaks)
    return {
        "sdr": dict(zip(SOURCES, mean_of(ratios), strict=True)),
        "bleeding": between,
        "drums_in_vocals": drums_in_vocals,
        "real_time_factor": round(sum(track.duration for track in tracks) / seconds, 1),
    }


@torch.no_grad()
def activities(net: nn.Module, track: Track) -> tuple[Tensor, Tensor, Tensor | None]:
    """Per frame (n,): is a note sung in the score, log energy of the vocals, logits of the head."""
    active = active_frames(note_gate(track), TRANSFORM)
    magnitude = TRANSFORM(track.mixture).abs()
    x = functional.pad(magnitude, (0, -magnitude.shape[-1] % PATCH))
    x = rearrange(x, "c f (p n) -> p c f n", n=PATCH)
    answer = net(x)
    vocals = getattr(answer, "masks", answer)[:, SOURCES.index("vocals")] * x
    energy = rearrange(vocals.square().sum(dim=(1, 2)), "p n -> (p n)")[: len(active)]
    logits = None
    if hasattr(answer, "activity"):
        logits = rearrange(answer.activity, "p n -> (p n)")[: len(active)]
    return active, energy.clamp(min=1e-10).log(), logits


def measure_activity(net: nn.Module, tracks: list[Track]) -> dict:
    """How well frames with sung notes are distinguished from others, over whole songs."""
    active, level, logits = zip(*(activities(net, track) for track in tracks), strict=True)
    active, level = torch.cat(active), torch.cat(level)
    found = {
        "active": round(active.mean().item(), 4),
        "auc_of_level": round(area_under_curve(level, active), 4),
    }
    if logits[0] is not None:
        logits = torch.cat(logits)
        said, right = logits > 0, active.bool()
        hits = (said & right).sum()
        found |= {
            "auc_of_head": round(area_under_curve(logits, active), 4),
            "precision": round((hits / said.sum()).item(), 4),
            "recall": round((hits / right.sum()).item(), 4),
        }
    return found


def seconds_per_step(net: nn.Module, objective: Callable, excerpt: tuple[Tensor, ...]) -> float:
    """Core seconds of one training step, the minimum of several; `net` is not changed."""
    net = deepcopy(net).train()  # batch normalisation would remember these steps
    mixture, sources = (torch.stack([x] * CONFIG.batch_size) for x in excerpt)
    seconds = []
    for _ in range(6):
        begin = time.process_time()
        objective(net, mixture, sources).backward()
        seconds.append(time.process_time() - begin)
    return min(seconds)


def measure(key: dict) -> dict:
    """Train one variant from one seed, and evaluate it on the test songs."""
    seed = key["seed"]
    tracks = songs("train")
    objective, n_channels = PhaseSensitiveObjective(TRANSFORM), 1
    if key["variant"] == "voice activity":
        tracks = [with_gate(track) for track in tracks]
        objective, n_channels = ActivityObjective(TRANSFORM), 2
    excerpts = Excerpts(tracks, SECONDS, seed, n_channels=n_channels)
    done = trial(VARIANTS[key["variant"]], objective, excerpts, CONFIG, seed)
    net = done.net
    seconds = seconds_per_step(net, objective, excerpts[0])
    masker = MaskBranch(net) if key["variant"] == "voice activity" else net
    settings = {"stft": TRANSFORM, "sample_rate": SAMPLE_RATE}
    found = measure_tracks(MaskSeparator(Patchwise(masker, PATCH, MARGIN), **settings), judged())
    whole = measure_tracks(MaskSeparator(masker, **settings), judged())
    found["sdr_of_whole_songs"] = whole["sdr"]
    found["real_time_factor"] = whole["real_time_factor"]
    if key["variant"] in ("U-Net", "voice activity"):
        found["activity"] = measure_activity(net, songs("test"))
    return found | {
        "parameters": done.n_parameters,
        "seconds_per_step": round(seconds, 4),
        "loss": round(done.last_loss, 4),
    }


def main() -> None:
    """Fill in the rows that are missing."""
    about = facts(
        sample_rate=SAMPLE_RATE,
        transform=asdict(TRANSFORM),
        recipe=CONFIG.facts() | {"seed": "as in the row"},
        seconds_per_excerpt=SECONDS,
        frames_per_patch=[PATCH, MARGIN],
        objective="phase-sensitive error",
        judged="the middle half of each test song",
    )
    keys = [{"variant": name, "seed": seed} for seed in SEEDS for name in VARIANTS]
    run_rows(RESULTS / "unet.json", about, keys, measure)


if __name__ == "__main__":
    main()
