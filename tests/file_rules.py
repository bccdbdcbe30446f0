"""Rules for all files except notebooks: each rule reports what is wrong with a file."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from notebook_rules import FORBIDDEN
from packaging.requirements import Requirement

MEGABYTE = 1024 * 1024
LARGEST = 16 * MEGABYTE
CHECKPOINT = 3 * MEGABYTE
CHECKPOINTS = 45 * MEGABYTE
VENDORED = "book/_static/mathjax/"

ROOT_NAMES = {
    *("_config.yml", "_toc.yml", "requirements.txt", "pyproject.toml", "Makefile", "README.md"),
    *("LICENSE", "CITATION.cff", "CONTRIBUTING.md", "book", "notebooks", "common", "tests"),
}
TEXT = {".py", ".md", ".ipynb", ".yml", ".toml", ".txt", ".js", ".mjs", ".css", ".json", ".cff"}

# The rules themselves name what they forbid.
RULES = {"tests/notebook_rules.py", "tests/test_hygiene_rules.py"}

# A reader's code may raise anything, so only the code that runs the exercises may catch it all.
MAY_CATCH_ALL = {"common/checks/__init__.py"}


def tracked(root: Path) -> list[str]:
    """Every file that git tracks and that exists."""
    listed = subprocess.check_output(["git", "ls-files", "-z"], cwd=root, text=True).split("\0")
    return [name for name in listed if name and (root / name).is_file()]


def misplaced(names: list[str]) -> Iterator[str]:
    """Files at the root that do not belong there."""
    for top in sorted({name.split("/")[0] for name in names}):
        if top not in ROOT_NAMES and not top.startswith("."):
            yield f"{top} does not belong at the root"


def too_large(sizes: dict[str, int]) -> Iterator[str]:
    """Files that are too large for the repository, by name and size in bytes."""
    for name, size in sizes.items():
        if size > LARGEST:
            yield f"{name} has {size / MEGABYTE:.0f} MB"
    weights = {name: size for name, size in sizes.items() if name.endswith(".safetensors")}
    if sum(weights.values()) > CHECKPOINTS:
        yield "the checkpoints together are over 45 MB"
    if sum(size > CHECKPOINT for size in weights.values()) > 1:
        yield "more than one checkpoint is over 3 MB"
    for name in weights:
        # Stored outputs of reference implementations name their origin in their metadata.
        if (
            not name.startswith(("tests/reference/", "book/reference/"))
            and name.replace(".safetensors", ".json") not in sizes
        ):
            yield f"{name} has no model card beside it"


def forbidden_text(name: str, text: str) -> Iterator[str]:
    """Unfinished work, silenced warnings and paths of one machine, in any text file.

    A catch-all except is looked for in code by `catches_all`, which knows code from comments.
    """
    for pattern, what in FORBIDDEN.items():
        if "except" in what or (what == "sys.path" and not name.endswith(".ipynb")):
            continue
        for match in re.finditer(pattern, text, re.M):
            yield f"{name}:{text.count(chr(10), 0, match.start()) + 1} has {what}"


def catches_all(name: str, tree: ast.AST) -> Iterator[str]:
    """An except that swallows every error; one that cleans up and raises again is fine."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and name not in MAY_CATCH_ALL:
            kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            everything = any(
                kind is None
                or (isinstance(kind, ast.Name) and kind.id.endswith("eException"))
                or (isinstance(kind, ast.Name) and kind.id == "Exception")
                for kind in kinds
            )
            if everything and not isinstance(node.body[-1], ast.Raise):
                yield f"{name}:{node.lineno} swallows every exception"


def dodged_tests(name: str, tree: ast.AST) -> Iterator[str]:
    """Tests that are skipped or expected to fail."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in (
            *("skip", "skipif", "xfail", "importorskip", "skipTest", "expectedFailure"),
        ):
            yield f"{name}:{node.lineno} uses {node.attr}"


def too_long(name: str, text: str) -> Iterator[str]:
    """Files that are too long and should be split by topic."""
    lines = text.count("\n")
    if name.startswith("common/models/") and lines > 200:
        yield f"{name} has {lines} lines, a model file at most 200"
    elif name.startswith("common/") and not name.endswith(".json") and lines > 300:
        yield f"{name} has {lines} lines, a module at most 300"


def wrong_addresses(name: str, text: str, repository: str) -> Iterator[str]:
    """Colab links, clones and archives that lead anywhere but to the book's own repository."""
    path = repository.removeprefix("https://github.com/")
    for found in re.findall(r"colab\.research\.google\.com/github/([\w.-]+/[\w.-]+)", text):
        if found != path:
            yield f"{name} links Colab to {found}, not {path}"
    for found in re.findall(r"(https?://[^\s\"\\]+)/archive/refs/", text):
        if found != repository:
            yield f"{name} installs {found}, not {repository}"
    for found in re.findall(r"git clone [^\n\"]*?(https?://[^\s\"\\]+)", text):
        if found.removesuffix(".git") != repository:
            yield f"{name} clones {found}, not {repository}"


def unpinned(project: dict, pins: str) -> Iterator[str]:
    """What pyproject.toml asks for and requirements.txt does not pin within the range."""
    lines = [line.split("#")[0].strip() for line in pins.splitlines()]
    parsed = [Requirement(line) for line in lines if line]
    versions = {_plain(item.name): str(item.specifier).removeprefix("==") for item in parsed}
    extras = project["optional-dependencies"]
    made = ("nussl", "scaper", "book", "test")  # the extras that `make` installs
    for text in [*project["dependencies"], *(text for name in made for text in extras[name])]:
        wanted = Requirement(text)
        version = versions.get(_plain(wanted.name))
        if version is None:
            yield f"{wanted.name} is not pinned"
        elif not wanted.specifier.contains(version):
            yield f"{wanted.name} is pinned to {version}, outside {wanted.specifier}"
    for item in parsed:
        if not str(item.specifier).startswith("=="):
            yield f"{item.name} has no exact version"
        if item.name.startswith("nvidia"):
            yield f"{item.name} belongs to torch, which pins it itself"


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
