"""Find a chapter's exercises and run them as a reader would, with and without their solutions."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any

import nbformat
import quotes


@dataclass(frozen=True)
class Exercise:
    """One exercise of a chapter: the code of its stub, of its check, and of its solution."""

    stub: str
    check: str
    solution: str


def tagged(notebook: nbformat.NotebookNode, tag: str) -> list[str]:
    """The code of every cell with a tag, in order."""
    return [
        cell.source
        for cell in notebook.cells
        if cell.cell_type == "code" and tag in cell.metadata.get("tags", [])
    ]


def exercises(notebook: nbformat.NotebookNode) -> list[Exercise]:
    """Pair the k-th stub with the k-th check and the k-th solution."""
    kinds = [tagged(notebook, tag) for tag in ("exercise", "check", "solution")]
    counts = [len(kind) for kind in kinds]
    if len(set(counts)) != 1:
        raise ValueError("{} stubs, {} checks and {} solutions".format(*counts))
    return [Exercise(*parts) for parts in zip(*kinds, strict=True)]


def layout_problems(notebook: nbformat.NotebookNode) -> list[str]:
    """Deviations from the common layout: solutions last, hidden, below their heading."""
    found = []
    heading, last_check = None, None
    for number, cell in enumerate(notebook.cells):
        tags = cell.metadata.get("tags", [])
        if cell.cell_type == "markdown" and cell.source.startswith("## Solutions"):
            heading = number
        if "check" in tags:
            last_check = number
            if heading is not None:
                found.append(f"cell {number}: a check below the solutions")
        if "solution" in tags:
            if "hide-cell" not in tags:
                found.append(f"cell {number}: a solution in plain sight (tag it hide-cell)")
            if heading is None:
                found.append(f"cell {number}: a solution above `## Solutions`")
    if last_check is None:
        found.append("no exercise")
    return found


def run(code: str, namespace: dict[str, Any]) -> Any:
    """Run a cell; the value of its last expression, or None if it does not end in one."""
    body = quotes.parse(code).body
    last = body.pop().value if body and isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), "<cell>", "exec"), namespace)
    if last is None:
        return None
    return eval(compile(ast.Expression(last), "<cell>", "eval"), namespace)


def verdicts(imports: str, exercise: Exercise) -> tuple[Any, Any]:
    """The check's verdicts on the stub and the solution, each run after the imports cell only."""
    found = []
    for answer in (exercise.stub, exercise.solution):
        namespace: dict[str, Any] = {"__name__": "__main__"}
        run(imports, namespace)
        run(answer, namespace)
        found.append(run(exercise.check, namespace))
    return found[0], found[1]
