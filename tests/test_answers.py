"""Every check accepts right answers in any form, and names the mistake in wrong ones."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from types import ModuleType

import pytest
import quotes
from answers import Answers

from common import checks

CHAPTERS = sorted(path.stem for path in (quotes.ROOT / "common/checks").glob("ch*.py"))


def checks_of(module: ModuleType) -> dict[str, object]:
    """The checks that a chapter's module defines, by name."""
    return {
        name: x
        for name, x in inspect.getmembers(module, inspect.isfunction)
        if hasattr(x, "__wrapped__") and x.__module__ == module.__name__
    }


def tables() -> Iterator[tuple[str, str, Answers]]:
    """Chapter, name of the check, and its answers."""
    for chapter in CHAPTERS:
        table = importlib.import_module(f"answers.{chapter}").ANSWERS
        for name, answers in table.items():
            yield chapter, name, answers


RIGHT = [
    pytest.param(chapter, name, answer, id=f"{chapter}-{name}-{way}")
    for chapter, name, answers in tables()
    for way, answer in answers.right.items()
]
WRONG = [
    pytest.param(chapter, name, *answer, id=f"{chapter}-{name}-{mistake}")
    for chapter, name, answers in tables()
    for mistake, answer in answers.wrong.items()
]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_check_has_answers(chapter: str) -> None:
    table = importlib.import_module(f"answers.{chapter}").ANSWERS
    assert set(table) == set(checks_of(getattr(checks, chapter)))
    for name, answers in table.items():
        assert len(answers.right) >= 3, f"{name}: {len(answers.right)} right answers"
        assert len(answers.wrong) >= 4, f"{name}: {len(answers.wrong)} wrong answers"


@pytest.mark.parametrize(("chapter", "name", "answer"), RIGHT)
def test_right_answers_pass(chapter: str, name: str, answer: object) -> None:
    verdict = getattr(getattr(checks, chapter), name)(answer)
    assert verdict.passed, verdict.message


@pytest.mark.parametrize(("chapter", "name", "answer", "hint"), WRONG)
def test_wrong_answers_get_the_hint_that_names_the_mistake(
    chapter: str, name: str, answer: object, hint: str
) -> None:
    verdict = getattr(getattr(checks, chapter), name)(answer)
    assert not verdict.passed, f"accepted: {verdict.message}"
    assert len(hint) > 10 and hint in verdict.message, verdict.message
