"""Which clock is read where: one that steps backwards must not spoil a duration, nor end a case before its time."""

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
WALL = {("time", "time"), ("time", "time_ns"), ("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today")}


def readers_of_the_wall_clock() -> set[str]:
    found = set()
    for package in ("bitlinear", "harness", "suites"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                    if (node.value.id, node.attr) in WALL:
                        found.add(str(path.relative_to(ROOT)))
                elif isinstance(node, ast.ImportFrom) and node.module == "time":
                    assert not {alias.name for alias in node.names} & {"time", "time_ns"}, path
    return found


def test_only_names_and_dates_come_from_the_wall_clock() -> None:
    """Durations, time limits and budgets come from clocks that never step. Names have a number added when taken."""
    dated = {"harness/runner/session.py", "harness/gate/session.py"}
    dated |= {"harness/gate/pytest_benchmark/session.py", "harness/commands/fleet/run.py"}
    added = {"harness/store/history/folder.py"}  # the date at which somebody added a run to a history
    accepted = {"harness/commands/baseline.py"}  # the date at which somebody accepted a baseline, for people to read
    named = {"suites/device_check/__main__.py"}  # a folder that holds a check already is refused
    assert readers_of_the_wall_clock() == dated | added | accepted | named
