"""Whose tests are gated, and how pytest is started on one side of them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UsageError
from harness.gate.checkouts import Checkout
from harness.runner.nursery import started

SCRIPT = str(Path(__file__).with_name("on_demand.py"))
VISIT = 0.02
"""Seconds that pytest-benchmark times a test in one visit, unless the project or the user say otherwise."""
FEWEST = 3
"""Calls, or loops of them, that it times at least in a visit, likewise; its own default of 5 is for a single visit."""
_SETTINGS = ("--benchmark-enable", f"--benchmark-max-time={VISIT}", f"--benchmark-min-rounds={FEWEST}")
_FOREIGN = ("PYTEST_XDIST", "PYTEST_CURRENT_TEST", "PYTHONPATH")
"""Beginnings of variables that tell of a pytest around this one, or that are set here."""


@dataclass(frozen=True)
class Project:
    """Tests of a project, and the Python that it needs."""

    paths: tuple[str, ...]
    """As pytest takes them, from the current folder."""
    keyword: str = ""
    """As of `pytest -k`."""
    arguments: tuple[str, ...] = ()
    """More of pytest's, which win over ours."""
    python: str = ""
    """An interpreter: a path in both checkouts, or a path or a name here. Empty means the one that runs this."""

    def __post_init__(self) -> None:
        """Raise UsageError for a path that both sides would share."""
        for path in self.paths:
            if Path(path).is_absolute():
                raise UsageError(f"--pytest {path}: both sides would run that one file; give its path from here")


@dataclass(frozen=True)
class Command:
    """How the tests of one side are started. It is called as what begins a worker's process."""

    words: tuple[str, ...]
    folders: tuple[str, ...]
    """Put before all others that modules are searched for in; none where the checkout has its own interpreter."""
    current: str

    @classmethod
    def of(cls, project: Project, checkout: Checkout, below: Path) -> "Command | None":
        """None where this side has none of the tests. Raises UsageError for an interpreter that is not there."""
        current = checkout.current(below)
        paths = [path for path in project.paths if Path(current, path.partition("::")[0]).exists()]
        if not paths:
            return None
        own = Path(current, project.python)
        is_own = os.sep in project.python and not Path(project.python).is_absolute() and own.is_file()
        python = str(own) if is_own else _found(project.python)
        chosen = ("-k", project.keyword) if project.keyword else ()
        words = (python, SCRIPT, *_SETTINGS, *chosen, *project.arguments, *paths)
        return cls(words, () if is_own else checkout.folders(below), current)

    def start(self, _: Sequence[str], environment: Mapping[str, str], current: str) -> subprocess.Popen[bytes]:
        """The process, in place of the usual worker's."""
        kept = {name: text for name, text in environment.items() if not name.startswith(_FOREIGN)}
        return started(self.words, {**kept, **self._search_path(environment)}, current)

    def _search_path(self, environment: Mapping[str, str]) -> Mapping[str, str]:
        folders = [*self.folders, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
        return {"PYTHONPATH": os.pathsep.join(folders)} if folders else {}


def _found(python: str) -> str:
    """An interpreter here, by a path that keeps its virtual environment. Raises UsageError where it is not there."""
    found = shutil.which(python) if python else sys.executable
    if found is None:
        raise UsageError(
            f"--python {python} is no program here, nor in both checkouts: name one, or make it in both by --build"
        )
    return os.path.abspath(found)  # noqa: PTH100 - a resolved link would leave the virtual environment
