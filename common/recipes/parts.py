"""Nets and separators as JSON, so that a weights file alone describes how to build them.

A part is written as `{"make": name, argument: value, ...}`, with every default stated, so that
later changes of a constructor or a recipe do not change what an older file builds.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import asdict
from functools import partial

from common.models.chimera import Chimera
from common.models.d3_sizes import BandSize
from common.models.d3net import D3Body, D3Net
from common.models.deep_clustering import DeepClustering
from common.models.mask_inference import MaskInference
from common.models.open_unmix import OpenUnmix
from common.models.spleeter import SpleeterNet
from common.models.unet import UNet
from common.models.unet_stereo import StereoUNet
from common.recipes.clustering import mask_branch
from common.recipes.d3net import published_d3nets
from common.recipes.open_unmix import open_unmix_nets
from common.recipes.spleeter import ratio_masks, sharing_nets, spleeter_nets
from common.recipes.unet import patchwise_separator
from common.separation.clustering import ClusteringSeparator
from common.separation.separators import MaskSeparator, WienerSeparator
from common.signal.stft import STFT

PARTS: dict[Callable, tuple[Callable, ...]] = {
    STFT: (),
    BandSize: (),
    MaskInference: (),
    DeepClustering: (),
    Chimera: (),
    UNet: (),
    StereoUNet: (),
    spleeter_nets: (SpleeterNet,),
    sharing_nets: (SpleeterNet,),
    open_unmix_nets: (OpenUnmix,),
    D3Net: (D3Body,),
    published_d3nets: (D3Net, D3Body),
    MaskSeparator: (),
    WienerSeparator: (MaskSeparator,),
    ClusteringSeparator: (MaskSeparator,),
    patchwise_separator: (MaskSeparator,),
    mask_branch: (MaskSeparator,),
    ratio_masks: (MaskSeparator,),
}
"""What a file may name → the callables that receive its other keyword arguments."""

NAMES = {make.__name__: make for make in PARTS}


def describe(value: object) -> object:
    """A part, or one of its arguments, as JSON. Raises TypeError for what cannot be written."""
    if isinstance(value, partial) and not value.args:
        return _part(value.func, _defaults(value.func) | value.keywords)
    if inspect.isclass(value) or inspect.isfunction(value):
        return _part(value, _defaults(value))
    if isinstance(value, STFT):
        return _part(STFT, asdict(value))
    if isinstance(value, BandSize):
        return _part(BandSize, value._asdict())
    if isinstance(value, dict):
        return {key: describe(x) for key, x in value.items()}
    if isinstance(value, tuple | list):
        return [describe(x) for x in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a weights file cannot hold {value!r}")


def build(described: object, *first: object) -> object:
    """Build what `describe` has described; `first` are positional arguments of the outermost part.

    Raises KeyError for a part that is not in `PARTS`: nothing else is ever called.
    """
    if isinstance(described, list):
        return tuple(build(x) for x in described)
    if not isinstance(described, dict):
        return described
    arguments = {key: build(x) for key, x in described.items() if key != "make"}
    return NAMES[described["make"]](*first, **arguments) if "make" in described else arguments


def _part(make: Callable, arguments: dict[str, object]) -> dict[str, object]:
    if make not in PARTS:
        raise TypeError(f"a weights file cannot hold {make!r}: it is not in PARTS")
    return {"make": make.__name__, **{key: describe(x) for key, x in arguments.items()}}


def _defaults(make: Callable) -> dict[str, object]:
    """Every argument with a default, of `make` and of the callables that it passes arguments to."""
    found: dict[str, object] = {}
    for callee in (*reversed(PARTS.get(make, ())), make):
        for parameter in inspect.signature(callee).parameters.values():
            if parameter.default is not parameter.empty:
                found[parameter.name] = parameter.default
    return found
