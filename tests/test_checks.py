"""The code that runs every check: it gives hints or praise, and never raises an exception."""

from __future__ import annotations

import importlib
import sys

import numpy as np
import pytest
import torch

from common import checks


@checks.check
def doubling(function):
    checks.name_mistake(function(3), {"That is the square.": 9, "That is a list.": [3, 3]})
    checks.expect(function(2) == 4, "Twice two is four.")
    checks.expect_close(function(np.ones(3)), [2, 2, 2], "Every sample doubles.")
    return "Doubled."


def test_right_answer_passes() -> None:
    verdict = doubling(lambda x: 2 * x)
    assert verdict.passed
    assert "Doubled." in verdict._repr_html_()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda x: x, "Twice two is four."),
        (lambda x: x * np.array(x), "That is the square."),
        (lambda x: [3, 3], "That is a list."),
        (lambda x: 4, "The shape is ()"),
        (lambda x: np.where(np.asarray(x) == 2, 4, np.nan), "Every sample doubles."),
        (lambda x: 1 / 0, "ZeroDivisionError"),
        (lambda x: None, "returns nothing yet"),
        (lambda x: ..., "returns nothing yet"),
        (lambda: 4, "TypeError"),
        (None, "TypeError"),
    ],
)
def test_wrong_answers_get_a_hint(answer: object, message: str) -> None:
    verdict = doubling(answer)
    assert not verdict.passed
    assert message in verdict.message
    assert repr(verdict).startswith("Not yet")


def test_messages_are_escaped() -> None:
    assert "<script>" not in checks.Verdict(False, "<script>")._repr_html_()


def test_names_in_messages_are_set_as_code() -> None:
    shown = checks.Verdict(False, "`a<b` and `c`: no.")._repr_html_()
    assert "<code>a&lt;b</code> and <code>c</code>: no." in shown


def test_chapters_are_imported_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = type(sys)("common.checks.ch00")
    monkeypatch.setitem(sys.modules, "common.checks.ch00", stand_in)
    assert checks.ch00 is stand_in
    with pytest.raises(AttributeError):
        _ = checks.nonsense
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("common.checks.ch98")


def test_answers_may_carry_gradients() -> None:
    weight = torch.ones(3, requires_grad=True)
    assert doubling(lambda x: 2 * x if np.isscalar(x) else 2 * weight).passed
