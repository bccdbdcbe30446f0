"""How checks read an answer that is a tensor or an array."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from common.checks import Hint


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
