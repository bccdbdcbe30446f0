"""The configuration of a training run."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class TrainConfig:
    """The configuration of a training run.

    steps: number of updates; batch_size: excerpts per step and process;
    learning_rate: the highest one, reached after `warmup` steps, followed by a
    cosine decay to zero; gradient_clip: the largest L2 norm of a gradient,
    above which it is scaled down; validate_every, save_every: in steps; ema:
    how much of the averaged weights is kept at each step (0: no average).
    """

    steps: int
    batch_size: int = 8
    learning_rate: float = 1e-3
    warmup: int = 20
    gradient_clip: float = 1.0
    validate_every: int = 100
    save_every: int = 200
    seed: int = 0
    ema: float = 0.0

    def learning_rate_at(self, step: int) -> float:
        """The learning rate of one step: linear warm-up, then cosine decay."""
        up = (step + 1) / max(self.warmup, 1)
        down = 0.5 * (1 + math.cos(math.pi * step / self.steps))
        return self.learning_rate * min(up, 1.0) * down

    def due(self, step: int, every: int) -> bool:
        """Whether `step` is one of every so many steps, or the last one."""
        return (step + 1) % every == 0 or step + 1 == self.steps

    def facts(self) -> dict[str, float]:
        """The settings for a model card; later additions only if they are on."""
        return {k: v for k, v in asdict(self).items() if k != "ema" or v}
