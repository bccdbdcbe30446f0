"""How much work the book does: the one place that reads `BOOK_SCALE`."""

import os

from common.support.errors import UsageError

SCALES = ("smoke", "live", "zoo", "paper")
"""Seconds for a test, a minute for a reader, an hour for a checkpoint, days for a paper."""


def scale() -> str:
    """The scale of this run: "smoke", "live" (default), "zoo" or "paper"."""
    name = os.environ.get("BOOK_SCALE", "live")
    if name not in SCALES:
        raise UsageError(f"BOOK_SCALE is {name!r}; use one of {', '.join(SCALES)}")
    return name
