"""Implementations that installed packages declare: by name in every suite, and broken ones at the cost of their row."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness import store
from harness.analysis.ranking import fastest
from harness.analysis.view import View
from tests.suites.tiny import TINY
from tests.suites.users_code import bitbench_beside, declare

OWN = "tests.suites.contestants"
pytestmark = pytest.mark.usefixtures("timed_for_a_moment")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two packages: one that works, and one that claims two names of others and is broken besides."""
    folder = tmp_path_factory.mktemp("site")
    names = {"theirs": f"{OWN}:honest", "disputed": f"{OWN}:honest", "nothing": "theirpkg.module:built"}
    declare(folder, "theirpkg", "1.2", names)
    (folder / "theirpkg").mkdir()
    (folder / "theirpkg" / "module.py").write_text("raise RuntimeError('compiled for\\nanother machine')\n")
    declare(folder, "otherpkg", "0.3", {"int8": f"{OWN}:honest", "disputed": f"{OWN}:Scaled", "a b": f"{OWN}:honest"})
    return folder


def test_they_are_listed_with_package_and_version_and_clashes_are_told(site: Path) -> None:
    done = bitbench_beside(site, "list")
    assert done.returncode == 0, done.stderr
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("theirs "))
    assert f"{OWN}:honest, from theirpkg 1.2" in line
    assert "nothing  " in done.stdout  # nobody has imported it yet
    assert "disputed" not in done.stdout
    assert done.stderr.splitlines() == [
        f"bitbench: 'a b' of otherpkg 0.3 is no name; use letters, digits, dot, dash and underscore;"
        f" it can be had as {OWN}:honest",
        f"bitbench: 'disputed' of otherpkg 0.3 is claimed by other packages too; it can be had as {OWN}:Scaled",
        f"bitbench: 'disputed' of theirpkg 1.2 is claimed by other packages too; it can be had as {OWN}:honest",
        f"bitbench: 'int8' of otherpkg 0.3 is the name of one of bitbench's own; it can be had as {OWN}:honest",
    ]


def test_they_take_part_by_default_and_what_is_broken_costs_its_row(site: Path, tmp_path: Path) -> None:
    words = ("-k", "theirs or nothing or linear-fp32", "--out", tmp_path / "run")
    done = bitbench_beside(site, "run", "quick", *TINY, "--rounds", "1", "--metric", "exact", *words)
    assert done.returncode == 0, done.stderr
    found = {r.case.implementation: (r.outcome, r.reason) for r in store.load(tmp_path / "run").records}
    assert found["linear-fp32"] == found["theirs"] == ("measured", "")
    outcome, reason = found["nothing"]
    assert outcome == "skipped"
    assert reason == (
        "theirpkg 1.2 is broken: cannot import 'theirpkg.module:built': RuntimeError: compiled for another machine;"
        " in theirpkg/module.py:1"
    )


def test_declarations_are_read_without_importing_anything_they_name(site: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None; from harness.user_code import installed;"
        "print(*installed.installed(installed.IMPLEMENTATION_GROUP, ())[0]);"
        "assert not {'theirpkg', 'tests'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["int8", "nothing", "theirs"]


def test_one_that_is_called_like_a_baseline_is_a_contestant_like_any_other(tmp_path: Path) -> None:
    """The catalogue says who is a baseline, and so do the records, also of what was skipped or failed."""
    declare(tmp_path, "theirpkg", "1", {"linear-mine": f"{OWN}:honest", "linear-bad": f"{OWN}:Scaled"})
    names = "linear-mine,linear-bad,linear-bf16,linear-fp16"
    tiny = ("--axis", "shape=48x32", "--axis", "m=3", "--threads", "1", "--rounds", "1", "--metric", "latency")
    done = bitbench_beside(tmp_path, "run", "quick", *tiny, "--impl", names, "--out", tmp_path / "run")
    assert done.returncode == 1, done.stderr  # one of them is wrong
    stored = store.load(tmp_path / "run")
    assert {record.case.implementation: (record.outcome, record.role) for record in stored.records} == {
        "linear-mine": ("measured", "contestant"),
        "linear-bad": ("failed", "contestant"),
        "linear-bf16": ("measured", "baseline"),
        "linear-fp16": ("measured", "baseline"),
    }
    view = View.of(stored)
    assert view.baselines == ["linear-bf16", "linear-fp16"]
    assert [result.case.implementation for result in fastest(view.results)] == ["linear-mine"]
    rows = json.loads(bitbench_beside(tmp_path, "show", tmp_path / "run", "--format", "json").stdout)["rows"]
    gains = {row["metric"] for row in rows if row["implementation"] == "linear-mine"}
    assert {"speedup_linear-bf16", "speedup_linear-fp16"} <= gains
    assert "speedup_linear-mine" not in gains


def test_what_never_had_its_turn_has_its_role_and_says_that_it_came_too_late(tmp_path: Path) -> None:
    tiny = ("--axis", "shape=48x32", "--axis", "m=3,4", "--threads", "1", "--metric", "exact", "--budget", "0.001s")
    names = ("--impl", "linear-fp32,eager")
    bitbench_beside(tmp_path, "run", "quick", *tiny, *names, "--out", tmp_path / "run")
    records = store.load(tmp_path / "run").records
    assert [(record.role, record.late, record.outcome) for record in records if record.case.params["m"] == 4] == [
        ("baseline", True, "skipped"),
        ("contestant", True, "skipped"),
    ]
