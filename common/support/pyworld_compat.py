"""The one place that imports pyworld, whose last release (0.3.5) predates setuptools 82.

Use it as `world()`. The package's `__init__` imports setuptools' pkg_resources, which is gone, for
a version number; the vocoder itself is a compiled module in the same folder, which is loaded here.
"""

from functools import lru_cache
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from types import ModuleType

from common.support.errors import UsageError


def has_world() -> bool:
    """Whether pyworld is installed."""
    return find_spec("pyworld") is not None


def world() -> ModuleType:
    """The vocoder's functions: dio, stonemask, cheaptrick, d4c, synthesize.

    Raises UsageError if pyworld is not installed.
    """
    package = find_spec("pyworld")
    if package is None:
        raise UsageError("recorded voices need the WORLD vocoder: pip install pyworld")
    return _load(tuple(package.submodule_search_locations))


@lru_cache(maxsize=1)
def _load(places: tuple[str, ...]) -> ModuleType:
    compiled = PathFinder.find_spec("pyworld.pyworld", places)
    module = module_from_spec(compiled)
    compiled.loader.exec_module(module)
    return module
