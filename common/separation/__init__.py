"""From a net to stems, for music of any length, rate and channel count."""

from common.separation.any_length import separate, separate_file
from common.separation.blend import Blend
from common.separation.separators import MaskSeparator, Separator, TwoStems, WienerSeparator

__all__ = [
    "Blend",
    "MaskSeparator",
    "Separator",
    "TwoStems",
    "WienerSeparator",
    "separate",
    "separate_file",
]
