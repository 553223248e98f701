"""A contestant's own packages that are called as the program's, so that both work in one process.

`harness`, `suites` and `bitlinear` are words that others use too. Where the folder of a contestant holds another
package of such a name, it is loaded as `beside_harness`; what code of that folder imports as `harness` is then that
one, and everybody else gets the program's. Where there is no such package nothing is changed.
"""

import builtins
import importlib
import importlib.util
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

PREFIX = "beside_"
MARKS = {
    "harness": ("errors.py", "measure.py"),
    "suites": ("axes.py", "quick.py"),
    "bitlinear": ("scheme.py", "contract.py"),
}
"""The program's packages, each with files that every revision of it has and another package of that name has not."""

_places: dict[str, str] = {}
"""By name: the folder that the other package lies in."""


def clashes(folders: Sequence[str]) -> dict[str, str]:
    """By name of a package of the program: the first of `folders` with another package so called."""
    places = [(name, folder) for folder in reversed(folders) for name in MARKS if _is_another(Path(folder), name)]
    return dict(places)


def _is_another(folder: Path, name: str) -> bool:
    package = folder / name
    is_there = (folder / f"{name}.py").is_file() or any(package.glob("*.py"))
    return is_there and not all((package / mark).is_file() for mark in MARKS[name])


def install(places: Mapping[str, str], is_theirs: Callable[[str], bool]) -> None:
    """From now on, code in files that `is_theirs` means the packages in `places` by their names; nothing for none."""
    if not places:
        return
    _places.update(places)
    original, asks = builtins.__import__, cache(is_theirs)

    def routed(
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002 - the names are those of builtins.__import__
        locals: Mapping[str, object] | None = None,  # noqa: A002 - likewise
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> types.ModuleType:
        if level == 0 and globals and renamed(name) != name and asks(str(globals.get("__file__"))):
            name = renamed(name)
        return original(name, globals, locals, fromlist, level)

    sys.meta_path.insert(0, _Finder())
    builtins.__import__ = routed


def renamed(module: str) -> str:
    """The name under which a contestant's module is loaded: `beside_harness.kernels` for `harness.kernels`."""
    return f"{PREFIX}{module}" if module.partition(".")[0] in _places else module


def import_module(module: str) -> types.ModuleType:
    """The module that a contestant means by this name."""
    return importlib.import_module(renamed(module))


def is_hiding(module: str) -> bool:
    """Whether a module belongs to a package that has been loaded under another name."""
    return module.startswith(tuple(f"{PREFIX}{name}" for name in _places))


def as_written(text: str) -> str:
    """The text with such packages under the names that their code knows."""
    for name in _places:
        text = text.replace(f"{PREFIX}{name}", name)
    return text


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        name = fullname.removeprefix(PREFIX)
        if path is not None or name == fullname or name not in _places:
            return None
        found = PathFinder.find_spec(name, [_places[name]], target)
        if found is None:
            return None
        inside = found.submodule_search_locations
        if found.loader is None:  # a folder without __init__.py
            spec = ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = list(inside or ())
            return spec
        return importlib.util.spec_from_file_location(
            fullname, found.origin, submodule_search_locations=None if inside is None else list(inside)
        )
