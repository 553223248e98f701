"""How a worker begins: the referee's own packages are bound first, then the contestants' folders get on the path.

So a folder called `harness` beside a contestant hides nothing (only its own code sees it, by `beside.py`), and two
workers of two revisions differ in nothing but the contestants' code: both are measured by one harness and one
declaration of the suites.
"""

import importlib.machinery
import importlib.util
import json
import runpy
import sys
import types
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from pathlib import Path

import msgspec

from harness import HOME
from harness.machine.parent import die_with_parent
from harness.model.messages import Sources
from harness.user_code import shadowing
from harness.user_code.folders import within


class PinnedPackages(MetaPathFinder):
    """Finds top-level packages of the referee in its own folder, whatever else is called so."""

    def __init__(self, packages: Sequence[str]) -> None:
        self.packages = frozenset(packages)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The package, if it is the referee's and is there."""
        if path is not None or fullname not in self.packages:
            return None
        return importlib.machinery.PathFinder.find_spec(fullname, [str(HOME)], target)


class PinnedModule(MetaPathFinder):
    """Finds one module, or package, in one file, wherever the package lies that it is in.

    So both sides of a gate are measured by one declaration of suites, though it be part of what is measured.
    """

    def __init__(self) -> None:
        self.name, self.file = "", ""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The module, if it is this one."""
        if not self.file or fullname != self.name:
            return None
        inside = [str(Path(self.file).parent)] if self.is_package else None
        return importlib.util.spec_from_file_location(fullname, self.file, submodule_search_locations=inside)

    @property
    def is_package(self) -> bool:
        """Whether modules may lie in it."""
        return Path(self.file).name == "__init__.py"

    def holds(self, file: str) -> bool:
        """Whether `file` is the module's, or lies in it."""
        return bool(self.file) and (
            Path(file).is_relative_to(Path(self.file).parent) if self.is_package else file == self.file
        )


class Missed(MetaPathFinder):
    """The last to be asked: keeps what nobody has found, by name, with the folders that it was looked for in."""

    def __init__(self) -> None:
        self.names: dict[str, tuple[str, ...]] = {}

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None) -> None:
        """Nothing, ever."""
        self.names[fullname] = tuple(sys.path if path is None else path)


MISSED = Missed()
DECLARATION = PinnedModule()
"""The package of suites, where it is known which file it is."""


def _is_of(sources: Sources, file: str) -> bool:
    """Whether a file lies in the folders of the contestants, and is none of the referee's own there."""
    is_own = any(Path(file).is_relative_to(HOME / name) for name in shadowing.MARKS)
    return not is_own and any(within(file, folder) for folder in sources.folders)


def main() -> None:
    """`SOURCES PROGRAM SUITES_MODULE ...`: run PROGRAM as if it were called by its name, and die with the controller.

    That is settled before anything takes time: a worker that was stopped meanwhile could not see that it is alone.
    """
    die_with_parent()
    sys.path.pop(0)
    sources = msgspec.convert(json.loads(sys.argv[1]), Sources)
    program, module = sys.argv[2:4]
    places = shadowing.clashes(sources.folders)
    sys.meta_path.insert(0, PinnedPackages(("harness", "suites", *places)))
    DECLARATION.name, DECLARATION.file = module, sources.declaration
    sys.meta_path.insert(0, DECLARATION)
    shadowing.install(places, lambda file: _is_of(sources, file))
    sys.meta_path.append(MISSED)
    sys.path[:] = [*sources.folders, *(place for place in sys.path if not within(place, sources.instead_of))]
    sys.argv[1:] = sys.argv[3:]
    runpy.run_module(program, run_name="__main__", alter_sys=True)
