"""Every exercise can be solved: its check refuses the stub and accepts the hidden solution."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
import quotes
from exercises import Exercise, exercises, layout_problems, tagged, verdicts
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

NOTEBOOKS = sorted((quotes.ROOT / "notebooks").glob("*.ipynb"))

IMPORTS = "from common import checks"
STUB = "def double(x):\n    # your code here\n    ..."
SOLUTION = "def double(x):\n    return 2 * x"
CHECK = """\
@checks.check
def judge(answer):
    checks.expect(answer(2) == 4, "Twice two is four.")
    return "Doubled."
judge(double)"""


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_checks_refuse_stubs_and_accept_solutions(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    assert layout_problems(notebook) == []
    (imports,) = tagged(notebook, "imports")
    for number, exercise in enumerate(exercises(notebook), 1):
        stub, solution = verdicts(imports, exercise)
        assert stub.passed is False, f"exercise {number}: the empty stub passes"
        assert solution.passed is True, f"exercise {number}: {solution.message}"


def cell(source: str, *tags: str) -> nbformat.NotebookNode:
    return new_code_cell(source, metadata={"tags": list(tags)})


def chapter(*cells: nbformat.NotebookNode) -> nbformat.NotebookNode:
    return new_notebook(cells=list(cells))


def test_a_good_exercise_is_told_from_bad_ones() -> None:
    stub, solution = verdicts(IMPORTS, Exercise(STUB, CHECK, SOLUTION))
    assert (stub.passed, solution.passed) == (False, True)
    _, wrong = verdicts(IMPORTS, Exercise(STUB, CHECK, SOLUTION.replace("2 *", "3 *")))
    assert wrong.passed is False
    given_away, _ = verdicts(IMPORTS, Exercise(SOLUTION, CHECK, SOLUTION))
    assert given_away.passed is True


def test_a_solution_may_lean_on_the_imports_cell_only() -> None:
    leaning = SOLUTION.replace("2 *", "helper *")
    _, verdict = verdicts(IMPORTS, Exercise(f"helper = 2\n{STUB}", CHECK, leaning))
    assert verdict.passed is False
    assert "helper" in verdict.message


def test_layout_is_checked() -> None:
    stub, check = cell(STUB, "exercise"), cell(CHECK, "check")
    heading, solution = new_markdown_cell("## Solutions"), cell(SOLUTION, "solution", "hide-cell")
    assert layout_problems(chapter(stub, check, heading, solution)) == []
    assert layout_problems(chapter(stub, check, heading, cell(SOLUTION, "solution")))
    assert layout_problems(chapter(stub, check, solution, heading))
    assert layout_problems(chapter(stub, heading, solution, check))
    assert layout_problems(chapter(heading))
    with pytest.raises(ValueError, match="1 stubs, 1 checks and 0 solutions"):
        exercises(chapter(stub, check))
