"""What checks of arrays share: read an answer, and recognise the result of a known mistake."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from common.checks import Hint, expect


def tensor(answer: Any) -> Tensor:
    """The answer as a tensor in single precision, without gradient.

    NumPy arrays, lists of numbers and other precisions are accepted; anything else ends the check
    with a hint.
    """
    try:
        found = torch.as_tensor(answer).detach().cpu()
    except (TypeError, ValueError, RuntimeError):
        kind = type(answer).__name__
        raise Hint(
            f"Return one tensor, not a {kind} (`torch.stack` joins several tensors)."
        ) from None
    return found.to(torch.complex64 if found.is_complex() else torch.float32)


def refuse(got: Tensor, mistakes: dict[str, Tensor], tolerance: float = 1e-3) -> None:
    """End the check if the answer is the result of a known mistake.

    mistakes: hint → what the mistake would give. The tolerance is absolute plus relative; NaN
    counts as equal to NaN.
    """
    for hint, wrong in mistakes.items():
        same = got.shape == wrong.shape and torch.allclose(
            got, wrong.to(got.dtype), rtol=tolerance, atol=tolerance, equal_nan=True
        )
        expect(not same, hint)
