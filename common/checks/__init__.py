"""The checks that exercises call: right answer, or a hint, never the solution.

The checks of chapter NN live in `common/checks/chNN.py`, those of a page of variants beside it in
`chNNb.py`, and a chapter calls them as `checks.chNN.name(function)`. Each is written with the three
names below:

    @check
    def ratio_mask(function):
        masks = function(magnitudes)
        expect(masks.shape == magnitudes.shape, "One mask per source: keep the shape (s, f, n).")
        expect_close(masks.sum(0), ones, "Add the masks up: what should their sum be?")
        return "The masks share out every bin."
"""

from __future__ import annotations

import functools
import html
import importlib
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any


@dataclass(frozen=True)
class Verdict:
    """What a check found: whether the answer is right, and one sentence about it."""

    passed: bool
    message: str

    def __repr__(self) -> str:
        return f"{'Right' if self.passed else 'Not yet'}: {self.message}"

    def _repr_html_(self) -> str:
        kind = "right" if self.passed else "hint"
        colour = "#1a7f37" if self.passed else "#9a6700"
        word = "✓ Right" if self.passed else "→ Not yet"
        message = re.sub("`(.+?)`", r"<code>\1</code>", html.escape(self.message))
        return (
            f'<p class="verdict verdict-{kind}" '
            f'style="border-left: 4px solid {colour}; padding: 0.3em 0.8em; margin: 0">'
            f"<strong>{word}.</strong> {message}</p>"
        )


class Hint(Exception):
    """Raised inside a check to end it with a hint for the reader."""


def expect(condition: Any, hint: str) -> None:
    """Go on if `condition` holds; otherwise end the check with `hint`."""
    if not bool(condition):
        raise Hint(hint)


def expect_close(got: Any, expected: Any, hint: str, tolerance: float = 1e-4) -> None:
    """Go on if two arrays or tensors have one shape and differ nowhere by more than `tolerance`.

    The tolerance is absolute plus relative, as in `numpy.allclose`; NaN is never close.
    """
    import numpy as np  # here, so that importing the checks stays cheap

    got, expected = (np.asarray(without_gradient(x)) for x in (got, expected))
    if got.shape != expected.shape:
        raise Hint(f"{hint} (The shape is {got.shape}, and it should be {expected.shape}.)")
    if not np.allclose(got, expected, rtol=tolerance, atol=tolerance):
        raise Hint(hint)


def without_gradient(x: Any) -> Any:
    """A tensor without its history, which NumPy would refuse; anything else as it is."""
    return x.detach() if hasattr(x, "detach") else x


def name_mistake(got: Any, mistakes: Mapping[str, Any], tolerance: float = 1e-4) -> None:
    """End the check with a hint if `got` is what a known mistake gives; `mistakes`: hint → that."""
    import numpy as np

    got = np.asarray(without_gradient(got))
    for hint, wrong in mistakes.items():
        wrong = np.asarray(wrong)
        if got.shape == wrong.shape and np.allclose(got, wrong, rtol=tolerance, atol=tolerance):
            raise Hint(hint)


def check(body: Callable[..., str]) -> Callable[..., Verdict]:
    """Turn a function that tests a reader's answer into a check that returns a `Verdict`.

    `body(answer)` calls `expect` and returns a sentence for a right answer. An exception in the
    reader's code becomes a failed verdict that names the error: a check never raises.
    """

    @functools.wraps(body)
    def run(answer: Any, *args: Any, **kwargs: Any) -> Verdict:
        try:
            return Verdict(True, body(_refuse_nothing(answer), *args, **kwargs))
        except Hint as hint:
            return Verdict(False, str(hint))
        except Exception as error:  # noqa: BLE001 - the reader's code may raise anything
            return Verdict(False, f"your code raised {type(error).__name__}: {error}")

    return run


def _refuse_nothing(answer: Any) -> Any:
    """Wrap a plain function so that returning nothing, as a stub does, gives a hint."""
    if not inspect.isfunction(answer):
        return answer

    @functools.wraps(answer)
    def call(*args: Any, **kwargs: Any) -> Any:
        result = answer(*args, **kwargs)
        if result is None or result is Ellipsis:
            raise Hint(f"`{answer.__name__}` returns nothing yet: end it with `return`.")
        return result

    return call


def __getattr__(name: str) -> ModuleType:
    """Import a chapter's checks when they are first asked for."""
    if not re.fullmatch(r"ch\d\db?", name):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f"{__name__}.{name}")
