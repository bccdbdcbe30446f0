"""The published weights of Open-Unmix: one file per target, named like `vocals-b62c91ce.pth`.

They are on Zenodo: umxhq (record 3370489) and umx (3370486) were trained on MUSDB18-HQ and
MUSDB18; umxl (5069601) was trained on more music, and its licence, CC BY-NC-SA 4.0, allows no
commercial use. Put the files of each model into a separate folder.
"""

from __future__ import annotations

import re
from pathlib import Path

from torch import Tensor

from common import SOURCES
from common.models.open_unmix import OpenUnmix
from common.models.unet import PerSource
from common.official.weights import SUFFIXES, one_of, read_weights
from common.separation.separators import WienerSeparator
from common.signal.stft import STFT
from common.support.errors import UsageError

SAMPLE_RATE = 44100
"""Sample rate in Hz of published nets whose files do not state it."""

LEFT_OVER = ("sample_rate", "stft.window", "transform.0.window")
"""Entries in files from before 2021 that are no weights of the net."""


def load(path: Path) -> WienerSeparator:
    """A separator from a folder with one file per target, or from a single such file.

    Any of the targets drums, bass, other and vocals may be missing; then the Wiener filter
    receives the rest of the mixture as one more source. Raises UsageError for files that do not
    fit. The licence of umxl is CC BY-NC-SA.
    """
    files = target_files(path)
    weights = {target: read_weights(file) for target, file in files.items()}
    nets = {target: _net(weights[target], file) for target, file in files.items()}
    widths = {target: _widths(weights[target]) for target in files}
    if len(set(widths.values())) > 1:
        told = ", ".join(f"{target} {c} x {f}" for target, (c, f) in widths.items())
        raise UsageError(f"the files in {path} differ in channels and bins: {told}")
    n_channels, n_bins = next(iter(widths.values()))
    n_fft = 2 * (n_bins - 1)
    rates = [x["sample_rate"] for x in weights.values() if "sample_rate" in x]
    return WienerSeparator(
        PerSource(nets),
        STFT(n_fft, n_fft // 4, pad_mode="reflect"),
        tuple(files),
        sample_rate=int(rates[0]) if rates else SAMPLE_RATE,
        n_channels=n_channels,
        rest=len(files) < len(SOURCES),
    ).eval()


def target_files(path: Path) -> dict[str, Path]:
    """Which file is for which target, in the order of `SOURCES`. Raises UsageError."""
    if not path.exists():
        raise UsageError(f"{path} does not exist")
    files = [path] if path.is_file() else sorted(path.iterdir())
    found: dict[str, Path] = {}
    for file in files:
        target = re.split(r"[-.]", file.name)[0]
        if target not in SOURCES or file.suffix not in SUFFIXES:
            continue
        if target in found:
            raise UsageError(
                f"{path} has two files for {target}: {found[target].name}, {file.name}"
            )
        found[target] = file
    if not found:
        raise UsageError(
            f"{path} is for no target: a file's name is {one_of(SOURCES)}, an optional dash and "
            f"hash, and {one_of(SUFFIXES)}"
        )
    return {source: found[source] for source in SOURCES if source in found}


def sizes(weights: dict[str, Tensor]) -> dict[str, int]:
    """The arguments of the `OpenUnmix` that has these weights, read off their shapes.

    Raises KeyError for weights of another net.
    """
    max_bin, (n_bins,) = len(weights["input_mean"]), weights["output_mean"].shape
    hidden_size, n_inputs = weights["fc1.weight"].shape
    layers = [name for name in weights if re.fullmatch(r"lstm\.weight_ih_l\d+", name)]
    return {
        "n_bins": n_bins,
        "max_bin": max_bin,
        "n_channels": n_inputs // max_bin,
        "hidden_size": hidden_size,
        "n_layers": len(layers),
    }


def _widths(weights: dict[str, Tensor]) -> tuple[int, int]:
    """Channels and bins, which the files of one model have in common."""
    found = sizes(weights)
    return found["n_channels"], found["n_bins"]


def _net(weights: dict[str, Tensor], file: Path) -> OpenUnmix:
    """The net in one file, with all its weights."""
    try:
        net = OpenUnmix(**sizes(weights))
        net.load_state_dict({name: x for name, x in weights.items() if name not in LEFT_OVER})
    except (KeyError, RuntimeError, ValueError, ZeroDivisionError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"{file} does not fit Open-Unmix: {reason[:200]}") from error
    return net
