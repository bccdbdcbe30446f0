"""The classical methods by the names that the command line takes."""

from __future__ import annotations

from collections.abc import Callable

from common.classical.background import BackgroundSeparator
from common.classical.hpss import HPSS
from common.classical.repetition import FT2D, Repet, RepetSim

METHODS: dict[str, Callable[[], BackgroundSeparator | HPSS]] = {
    "repet": lambda: BackgroundSeparator(Repet()),
    "repet-sim": lambda: BackgroundSeparator(RepetSim()),
    "ft2d": lambda: BackgroundSeparator(FT2D()),
    "hpss": HPSS,
}
"""Each makes a separator that needs no training."""
