"""Answers to the exercises: right ones written in different ways, and the mistakes people make.

`tests/answers/chNN.py` holds `ANSWERS`, one entry for each check of `common/checks/chNN.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answers:
    """What a check is tried with.

    right: the way in which an answer is written → the answer, at least three; wrong: the mistake
    in words → the answer and a part of the hint that names the mistake, at least four.
    """

    right: dict[str, Any]
    wrong: dict[str, tuple[Any, str]]
