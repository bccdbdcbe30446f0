"""What happened in training, step by step."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass
class History:
    """What happened in training: one loss per step, one validation loss now and then."""

    losses: list[float] = field(default_factory=list)
    validation: list[tuple[int, float]] = field(default_factory=list)

    def record(self, loss: float) -> None:
        """Keep the loss of a step. Raises FloatingPointError where it is NaN or infinite."""
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"the loss became {loss} at step {len(self.losses)}: lower the learning rate"
            )
        self.losses.append(loss)
