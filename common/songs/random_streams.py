"""Random draws from a named stream per decision, so that one draw does not affect the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar
from zlib import crc32

import numpy as np

T = TypeVar("T")


def stream(seed: int, split: str, purpose: str) -> np.random.Generator:
    """Return a generator that depends only on the song and the purpose of the draws."""
    return np.random.default_rng((seed, crc32(split.encode()), crc32(purpose.encode())))


def flip(rng: np.random.Generator, chance: float) -> bool:
    """True with the given probability."""
    return rng.random() < chance


def pick(rng: np.random.Generator, options: Sequence[T]) -> T:
    """One of the options, all equally likely."""
    return options[int(rng.random() * len(options))]


def weighted(rng: np.random.Generator, options: Sequence[tuple[T, float]]) -> T:
    """One of the options, with probabilities proportional to the weights."""
    mark = rng.random() * sum(weight for _, weight in options)
    for option, weight in options:
        mark -= weight
        if mark < 0:
            return option
    return options[-1][0]
