"""Imports follow the order of the layers, and importing the package is fast."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
import quotes

ROOT = quotes.ROOT

# The folders of common/, from the bottom up: a module may import its own folder and those of lower
# layers. The only module at the top is the command line, which may import all of them.
LAYERS = (
    ("support",),
    ("signal",),
    ("songs",),
    ("data",),
    ("models", "classical"),
    ("separation",),
    ("training",),
    ("evaluation",),
    ("official",),
    ("recipes",),
    ("checks", "notebook"),
    ("experiments",),
    ("__main__",),
)
LAYER = {name: rank for rank, names in enumerate(LAYERS) for name in names}
NOTEBOOKS_ONLY = {"checks", "notebook"}

# Packages that need a shim → the one module that may import them.
SHIMS = {
    "nussl": "support.nussl_compat",
    "scaper": "support.scaper_compat",
    "pyworld": "support.pyworld_compat",
}

# What only the extras of pyproject.toml install → the modules that may import it, in functions or
# in shims, so that chapters without these extras run on Colab. `setup_cell.EXTRAS` knows them.
EXTRAS = {
    "nussl": {"support.nussl_compat"},
    "scaper": {"support.scaper_compat"},
    "soxbindings": {"data.augmentation"},
    "jams": set(),
    "zarr": set(),
    "common.support.nussl_compat": set(),
    "common.support.scaper_compat": {"data.scaper_mixtures"},
    "common.data.scaper_mixtures": set(),
}

# The chapters' order: a model may build on a file before it, never on one after it.
MODELS = (
    "mask_inference",
    "deep_clustering",
    "chimera",
    "unet",
    "unet_variants",
    "unet_double",
    "unet_stereo",
    "spleeter",
    "open_unmix",
    "d3_blocks",
    "d3_sizes",
    "d3net",
)


def imported_by(node: ast.AST, package: str = "common") -> Iterator[str]:
    """Every module that code imports, dotted; `from common import data` counts as common.data.

    `package` is what `from . import x` refers to. What only type checkers see is left out: it is
    never imported when the code runs.
    """
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        above = package.split(".")[: package.count(".") + 2 - node.level] if node.level else []
        module = ".".join([*above, *([node.module] if node.module else [])])
        yield module
        yield from (f"{module}.{alias.name}" for alias in node.names)
    elif not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)):
        for child in ast.iter_child_nodes(node):
            yield from imported_by(child, package)


def within_common(names: Iterator[str]) -> set[tuple[str, ...]]:
    """The parts below `common` of those imported names that lie in it."""
    parts = (tuple(name.split(".")) for name in names)
    return {part[1:] for part in parts if part[0] == "common" and len(part) > 1}


def package_of(module: tuple[str, ...]) -> str:
    """The package that a module's relative imports start from."""
    folder = (ROOT / "common").joinpath(*module).is_dir()
    return ".".join(["common", *(module if folder else module[:-1])])


def wrong_imports(module: tuple[str, ...], tree: ast.AST) -> list[str]:
    """What a module of `common`, given as the parts of its name, imports against the order."""
    name = ".".join(module)
    if module[0] not in LAYER:
        return [f"{name} has no place in LAYERS"]
    if module[0] == "models" and len(module) > 1 and module[1] not in MODELS:
        return [f"{name} has no place in MODELS"]
    imports = list(imported_by(tree, package_of(module)))
    found = [
        f"{name} imports {package}"
        for other in imports
        if (package := other.split(".")[0]) in SHIMS and name != SHIMS[package]
    ]
    for other in sorted(within_common(iter(imports))):
        rank = LAYER.get(other[0])
        if rank is None:  # a constant of the package itself
            continue
        if rank > LAYER[module[0]]:
            found.append(f"{name} imports {'.'.join(other)}, which is above it")
        elif rank == LAYER[module[0]] and other[0] != module[0]:
            found.append(f"{name} imports {'.'.join(other)}, which is beside it")
        elif other[0] in NOTEBOOKS_ONLY and module[0] not in NOTEBOOKS_ONLY:
            found.append(f"{name} imports {'.'.join(other)}, which only notebooks may")
        elif module[0] == other[0] == "models" and len(module) > 1 and len(other) > 1:
            if other[1] in MODELS and MODELS.index(other[1]) > MODELS.index(module[1]):
                found.append(f"{name} imports {'.'.join(other)}, a later chapter's model")
    return found


def modules() -> Iterator[tuple[tuple[str, ...], ast.Module]]:
    """Every module of `common` beside its root, with its code."""
    for path in sorted((ROOT / "common").rglob("*.py")):
        parts = path.relative_to(ROOT / "common").with_suffix("").parts
        name = parts[:-1] if parts[-1] == "__init__" else parts
        if name:
            yield name, ast.parse(path.read_text(encoding="utf-8"))


def test_imports_point_one_way() -> None:
    found = [wrong for name, tree in modules() for wrong in wrong_imports(name, tree)]
    assert found == [], "\n".join(found)


@pytest.mark.parametrize(
    ("module", "code"),
    [
        ("signal.stft", "from common.models.mask_inference import MaskInference"),
        ("data.tracks", "def f():\n    import common.models"),
        ("songs.writing.form", "from common.training import fit"),
        ("training.loop", "from common import recipes"),
        ("recipes.table", "from common import notebook"),
        ("experiments.zoo", "from common import checks"),
        ("models.unet", "from common.classical import nmf"),
        ("notebook.plots", "from common.checks import ch01"),
        ("evaluation.metrics", "import nussl"),
        ("evaluation.metrics", "from nussl.core import masks"),
        ("data.scaper_mixtures", "import scaper"),
        ("signal.stft", "from ..recipes import load"),
        ("songs.writing.form", "from ...models import mask_inference"),
        ("unheard_of", "import numpy"),
        ("models.unheard_of", "import numpy"),
    ],
)
def test_wrong_imports_are_noticed(module: str, code: str) -> None:
    assert len(wrong_imports(tuple(module.split(".")), ast.parse(code))) >= 1


@pytest.mark.parametrize(
    ("module", "code"),
    [
        ("training.loop", "from common import SAMPLE_RATE\nfrom common.models import unet"),
        ("data.tracks", "if TYPE_CHECKING:\n    from common.notebook.players import Player"),
        ("songs.writing.form", "from common.songs.writing.theory import scale_pitches"),
        ("songs.writing.form", "from .theory import scale_pitches\nfrom ...support import errors"),
        ("support.nussl_compat", "import nussl"),
    ],
)
def test_right_imports_pass(module: str, code: str) -> None:
    assert wrong_imports(tuple(module.split(".")), ast.parse(code)) == []


def test_no_import_goes_in_circles() -> None:
    files = {name: within_common(imported_by(tree, package_of(name))) for name, tree in modules()}
    graph = {
        name: {other[:n] for other in others for n in (1, 2) if other[:n] in files} - {name}
        for name, others in files.items()
    }
    finished: set[tuple[str, ...]] = set()

    def visit(name: tuple[str, ...], path: list[tuple[str, ...]]) -> None:
        assert name not in path, f"circular imports: {[*path[path.index(name) :], name]}"
        if name not in finished:
            for other in graph[name]:
                if other != name[:1]:  # a module may import from beside it, through its package
                    visit(other, [*path, name])
            finished.add(name)

    for name in graph:
        visit(name, [])


def test_few_modules_need_an_extra() -> None:
    users: dict[str, set[str]] = {name: set() for name in EXTRAS}
    for name, tree in modules():
        for imported in imported_by(tree, package_of(name)):
            if imported in users:
                users[imported].add(".".join(name))
    assert users == EXTRAS


@pytest.mark.parametrize(
    ("package", "code"),
    [
        ("nussl", "from common.support.nussl_compat import nussl"),
        ("scaper", "from common.support.scaper_compat import scaper"),
        (
            "soxbindings",
            "from common.data.augmentation import sox_pitch; import torch;"
            "sox_pitch(torch.zeros(1, 9), 1.0, 9)",
        ),
    ],
)
def test_a_missing_extra_says_in_one_line_what_to_install(package: str, code: str) -> None:
    hidden = f"import sys; sys.modules[{package!r}] = None;"
    caught = "from common.support.errors import UsageError\ntry:\n    {}\nexcept UsageError as e:"
    run = [sys.executable, "-c", hidden + caught.format(code) + "\n    print(e)"]
    said = subprocess.check_output(run, cwd=ROOT, text=True).splitlines()
    assert len(said) == 1
    assert said[0].startswith(f"{package} is not installed: install sox and libsox-dev")
    assert "pip install" in said[0] and package in said[0].split("pip install")[1]


def test_notebooks_reach_nussl_through_its_shim() -> None:
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "code":
                names = {name.split(".")[0] for name in imported_by(quotes.parse(cell.source))}
                assert "nussl" not in names, f"{path.name}: from common.nussl_compat import nussl"


def test_importing_the_package_is_light() -> None:
    code = "import json, sys, common; print(json.dumps(sorted(sys.modules)))"
    run = [sys.executable, "-c", code]
    loaded = json.loads(subprocess.check_output(run, cwd=Path(ROOT), text=True))
    assert not {"torch", "nussl", "librosa", "musdb", "scaper", "matplotlib"} & set(loaded)


def test_the_top_holds_folders_alone() -> None:
    listed = subprocess.check_output(["git", "ls-files", "common"], cwd=ROOT, text=True)
    top = {name.split("/")[1] for name in listed.splitlines() if (ROOT / name).exists()}
    folders = {name for layer in LAYERS for name in layer} - {"__main__"}
    assert top == {"__init__.py", "__main__.py", "checkpoints", *folders}
    assert len(folders | {"checkpoints"}) == 15
