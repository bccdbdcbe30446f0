"""The losses of a training run, step by step."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

TREND_STEPS = 20
"""The loss in the progress bar is the mean over so many steps."""


@dataclass
class History:
    """The losses of a training run: one per step, and some validation losses.

    Steps count from 1. validation: pairs of step and loss; precision: pairs of a number of steps
    and the precision in which the net computed after them ("no" is float32, "bf16" bfloat16).
    """

    losses: list[float] = field(default_factory=list)
    validation: list[tuple[int, float]] = field(default_factory=list)
    precision: list[tuple[int, str]] = field(default_factory=list)

    def record(self, loss: float) -> None:
        """Record the loss of a step. Raises FloatingPointError if it is NaN or infinite."""
        step = len(self.losses) + 1
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"the loss became {loss} at step {step}: lower the learning rate"
            )
        self.losses.append(loss)

    def record_validation(self, step: int, loss: float) -> None:
        """Record a validation loss. Raises FloatingPointError if it is NaN or infinite."""
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"the validation loss is {loss} after step {step}: check the validation tracks"
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
