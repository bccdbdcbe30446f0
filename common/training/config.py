"""How long and how fast a net learns."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class TrainConfig:
    """How long and how fast to learn.

    steps: how many updates; batch_size: excerpts per step and process;
    learning_rate: the highest one, reached after `warmup` steps and then let
    down to zero along a cosine; gradient_clip: the longest gradient (L2 norm)
    that is taken as it is; validate_every, save_every: in steps; ema: how
    much of the averaged weights is kept at each step (0: no average).
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
        """The learning rate of one step: up on a line, down on a cosine."""
        up = (step + 1) / max(self.warmup, 1)
        down = 0.5 * (1 + math.cos(math.pi * step / self.steps))
        return self.learning_rate * min(up, 1.0) * down

    def due(self, step: int, every: int) -> bool:
        """Whether what happens every so many steps and at the end is due."""
        return (step + 1) % every == 0 or step + 1 == self.steps

    def facts(self) -> dict[str, float]:
        """What a model card says; a later setting only where it is on."""
        return {k: v for k, v in asdict(self).items() if k != "ema" or v}
