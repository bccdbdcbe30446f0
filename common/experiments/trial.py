"""Shared by most experiments: train a net from a seed, and the facts that hold for all rows."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from common.data.embedded import SONG_SETS, embedded_songs
from common.songs.dataset import GENERATOR_VERSION, set_hash
from common.training.config import TrainConfig
from common.training.history import History
from common.training.loop import fit


@dataclass(frozen=True)
class Trial:
    """A net that was trained from one seed, on the CPU and ready for evaluation.

    history: its losses; core_seconds: processor time of the training.
    """

    net: nn.Module
    history: History
    core_seconds: float

    @property
    def last_loss(self) -> float:
        """Mean loss of the last 20 steps."""
        losses = self.history.losses[-20:]
        return sum(losses) / len(losses)

    @property
    def n_parameters(self) -> int:
        """How many weights the net has."""
        return sum(weight.numel() for weight in self.net.parameters())


def trial(
    make: Callable[[], nn.Module],
    objective: Callable[[nn.Module, Tensor, Tensor], Tensor],
    excerpts: Dataset,
    config: TrainConfig,
    seed: int,
    prepare: Callable[[nn.Module, Dataset], None] | None = None,
    validate: Callable[[nn.Module], float] | None = None,
) -> Trial:
    """Train a net from a seed, which determines its initial weights and its dropout.

    make: makes the untrained net; prepare: measures the excerpts before training and stores the
    results in the net; validate: as in `fit`. The excerpts have their own seed.
    """
    torch.manual_seed(seed)
    net = make()
    if prepare:
        prepare(net, excerpts)
    begin = time.process_time()
    history = fit(net, objective, excerpts, replace(config, seed=seed), validate)
    return Trial(net.cpu().eval(), history, time.process_time() - begin)


def facts(**more: object) -> dict:
    """The facts that hold for all rows of an experiment with the live test songs."""
    return {
        "generator_version": GENERATOR_VERSION,
        "test_hash": set_hash(embedded_songs(SONG_SETS["live"], n_train=0), "test"),
        "hardware": platform.machine(),
        **more,
    }
