"""Read weights files from other authors without executing anything in them."""

from __future__ import annotations

import hashlib
import io
import pickle
import re
import struct
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from common.support.errors import UsageError

PICKLED = (".pth", ".pt", ".th", ".ckpt")
"""Files of `torch.save`: pickles, of which only plain tensors are taken."""

SUFFIXES = (*PICKLED, ".safetensors")
"""The kinds of files that `read_weights` can read."""

DAMAGE = (
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    struct.error,
)
"""What `torch.load` raises for truncated files and files of other kinds."""


def check_hash(path: Path, digits: str = "") -> None:
    """Compare a file with the beginning of its SHA-256: `digits`, or those in its own name.

    A name like `vocals-b62c91ce.pth` ends in eight or more hex digits, as in PyTorch Hub. Without
    `digits`, a name that has none is accepted. Raises UsageError for another hash.
    """
    if not digits and (named := re.search(r"-([0-9a-f]{8,64})$", path.stem)):
        digits = named[1]
    if not digits:
        return
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not found.startswith(digits):
        raise UsageError(
            f"{path} is not the published file: its SHA-256 begins with "
            f"{found[: len(digits)]}, not with {digits}; download it again"
        )


def read_weights(path: Path) -> dict[str, Tensor]:
    """Names and tensors of a weights file, on the CPU; nothing in it is executed.

    Raises UsageError for a file that is missing, does not match the hash in its name, is damaged,
    or holds anything but tensors.
    """
    if not path.is_file():
        raise UsageError(f"{path} is not a file" if path.exists() else f"{path} does not exist")
    if path.suffix not in SUFFIXES:
        raise UsageError(f"{path} is no weights file: its name must end in {one_of(SUFFIXES)}")
    check_hash(path)
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except SafetensorError as error:
            raise UsageError(f"{path} is damaged or no safetensors file ({error})") from error
    weights = _read_pickle(path)
    if not isinstance(weights, dict) or not all(
        isinstance(x, Tensor) and isinstance(name, str) for name, x in weights.items()
    ):
        raise UsageError(f"{path} holds something other than names and tensors")
    return weights


def _read_pickle(path: Path) -> object:
    """What `torch.save` wrote, in the layout of today or of before 2020."""
    content = io.BytesIO(path.read_bytes())
    try:
        return torch.load(content, map_location="cpu", weights_only=True)
    except DAMAGE as error:
        # Only PyTorch's message distinguishes the two cases.
        if re.search("unsupported (global|class)|unrecognized function", str(error), re.I):
            raise UsageError(
                f"{path} holds more than tensors, and unpickling it could run any code: "
                "it is not opened"
            ) from error
        raise UsageError(f"{path} is truncated, damaged or no file of torch.save") from error


def one_of(names: tuple[str, ...]) -> str:
    """`a, b or c`."""
    return f"{', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else names[0]
