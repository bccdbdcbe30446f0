"""The classical methods by the names that the command line takes."""

from __future__ import annotations

from collections.abc import Callable

from common.classical.background import BackgroundSeparator
from common.classical.duet import CentreDuet
from common.classical.hpss import HPSS
from common.classical.nmf import SupervisedNMF, trained_nmf
from common.classical.projet import Projet
from common.classical.repetition import FT2D, Repet, RepetSim
from common.classical.rpca import RPCA

METHODS: dict[
    str, Callable[[], BackgroundSeparator | HPSS | SupervisedNMF | CentreDuet | Projet]
] = {
    "repet": lambda: BackgroundSeparator(Repet()),
    "repet-sim": lambda: BackgroundSeparator(RepetSim()),
    "ft2d": lambda: BackgroundSeparator(FT2D()),
    "hpss": HPSS,
    "nmf": trained_nmf,
    "rpca": lambda: BackgroundSeparator(RPCA(), segment=30.0),
    "duet": CentreDuet,
    "projet": Projet,
}
"""Each entry makes a ready separator: NMF loads its trained templates."""
