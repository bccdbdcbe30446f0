"""Parameters of the nets that had another name in older weights files."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

RENAMED = {
    "places.": "embeddings.",  # Chimera
    "gate.trust.": "gate.gate.",  # D3Net
    "tell.": "activity_head.",  # ActivityUNet
}
"""Old prefix of a name → current prefix."""


def renamed(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors under their current names."""
    return {todays(name): x for name, x in tensors.items()}


def todays(name: str) -> str:
    """The current name of a parameter."""
    for old, new in RENAMED.items():
        if name.startswith(old):
            return new + name.removeprefix(old)
    return name
