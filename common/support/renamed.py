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
"""How a name began → how it begins now."""


def renamed(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors under the names of today; names of today stay as they are."""
    return {todays(name): x for name, x in tensors.items()}


def todays(name: str) -> str:
    """The name of a parameter today."""
    for old, new in RENAMED.items():
        if name.startswith(old):
            return new + name.removeprefix(old)
    return name
