"""Files that are either complete or absent."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from common.support.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor


def data_home() -> Path:
    """The folder of the data that the book makes: `COMMON_DATA`, or the user's cache folder."""
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "take-music-apart"
    return Path(os.environ.get("COMMON_DATA", default))


def check_place(path: Path) -> None:
    """Raise UsageError where nothing can be written to `path`; called before long work.

    The nearest existing path above `path` must be a folder, and writable.
    """
    above = next(folder for folder in path.absolute().parents if folder.exists())
    if not above.is_dir():
        raise UsageError(f"cannot write to {path}: {above} is a file, not a folder")
    if not os.access(above, os.W_OK):
        raise UsageError(f"cannot write to {path}: {above} is not writable")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Let one process at a time write below a folder that exists; others wait."""
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def write_whole(path: Path, write: Callable[[Path], object]) -> Path:
    """Let `write` fill a temporary file beside `path`, then rename it to `path`.

    A reader of `path` finds the old content or the new, never a part of it. If writing fails
    (disk full, Ctrl-C), the temporary file is removed and the old content stays.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        write(partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> Path:
    """Write tensors as safetensors, completely. Raises OSError if the disk is full."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    def write(partial: Path) -> None:
        try:
            save_file(tensors, partial, metadata)
        except SafetensorError as error:
            raise OSError(errno.EIO, str(error), str(path)) from error

    return write_whole(path, write)


def write_json(path: Path, content: object) -> Path:
    """Write `content` as JSON, completely. Raises ValueError for NaN and infinity."""
    text = json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    return write_whole(path, lambda partial: partial.write_text(text, encoding="utf-8"))
