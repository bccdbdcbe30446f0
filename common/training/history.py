"""What happened in training, step by step."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

TREND_STEPS = 20
"""The loss in the progress bar is the mean over so many steps."""


@dataclass
class History:
    """What happened in training: one loss per step, one validation loss now and then.

    Steps count from 1. validation: pairs of step and loss; precision: pairs of the number of steps
    before and the precision ("no" is float32, "bf16" bfloat16) in which the net computed then.
    """

    losses: list[float] = field(default_factory=list)
    validation: list[tuple[int, float]] = field(default_factory=list)
    precision: list[tuple[int, str]] = field(default_factory=list)

    def record(self, loss: float) -> None:
        """Keep the loss of a step. Raises FloatingPointError where it is NaN or infinite."""
        step = len(self.losses) + 1
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"the loss became {loss} at step {step}: lower the learning rate"
            )
        self.losses.append(loss)

    def record_validation(self, step: int, loss: float) -> None:
        """Keep a validation loss. Raises FloatingPointError where it is NaN or infinite."""
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"the validation loss is {loss} after step {step}: is the validation music whole?"
            )
        self.validation.append((step, loss))

    @property
    def best_step(self) -> int | None:
        """The step of the lowest validation loss, the first of several; None without one."""
        found = [(loss, step) for step, loss in self.validation]
        return min(found)[1] if found else None

    def trend(self) -> str:
        """The mean loss of the last steps and its change from the steps before, in one line."""
        if not self.losses:
            return ""
        last, before = self.losses[-TREND_STEPS:], self.losses[-2 * TREND_STEPS : -TREND_STEPS]
        mean = sum(last) / len(last)
        text = f"loss {mean:.4g}"
        if before and (earlier := sum(before) / len(before)):
            text += f" ({100 * (mean - earlier) / abs(earlier):+.1f} %)"
        return text
