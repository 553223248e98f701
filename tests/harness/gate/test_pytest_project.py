"""A gate of a project's own pytest-benchmark tests: a real one, on a clock that its work moves."""

import json
import math
import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from harness.gate.pytest_benchmark.taken import case_of, node_id, pool
from harness.model import Case
from tests.harness.fakes.command_line import Done, bitbench
from tests.harness.fakes.repositories import commit, git, worktrees

pytestmark = pytest.mark.usefixtures("started_workers")

CLOCK = """
import random

moment = 0.0

def work(seconds):
    global moment
    moment += seconds * random.lognormvariate(0, 0.002)
    return 42

def now():
    global moment
    moment += 1e-7  # pytest-benchmark asks how fine the clock is
    return moment
"""
TESTS = """
import pytest
from demo import fast, slow

@pytest.mark.parametrize("size", ["small/one", "large"])
def test_fast(benchmark, size):
    assert benchmark(fast) == 42

def test_slow(benchmark):
    assert benchmark(slow) == 42

def test_of_no_benchmark():
    raise AssertionError("nobody asked for it")
"""
CODE = """
from demo.clock import work

def fast():
    return work({fast})

def slow():
    return work({slow})
"""
SAME = CODE.format(fast=0.01, slow=0.02)
PROJECT: Mapping[str, str] = {
    "pyproject.toml": "[tool.pytest.ini_options]\naddopts = '--benchmark-timer=demo.clock.now --benchmark-skip'\n",
    "src/demo/__init__.py": SAME,
    "src/demo/clock.py": CLOCK,
    "bench/test_demo.py": TESTS,
}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # some take seconds to import
    monkeypatch.setenv("PYTEST_PLUGINS", "pytest_benchmark.plugin")
    place = tmp_path / "project"
    place.mkdir()
    git(place, "init", "--quiet")
    (place / ".git" / "info" / "exclude").write_text("gate.toml\nout\n")
    (place / "gate.toml").write_text("rounds = 4\n")
    commit(place, PROJECT)
    return place


def gate(repository: Path, *words: str, paths: tuple[str, ...] = ("bench",)) -> Done:
    of_tests = [word for path in paths for word in ("--pytest", path)]
    return bitbench("gate", "--base", "HEAD~1", "--head", "HEAD", *of_tests, "--out", "out", *words, folder=repository)


def words_of(repository: Path) -> dict[str, tuple[str, str]]:
    """By test: the word on it, and the reason."""
    verdicts = json.loads((repository / "out" / "verdict.json").read_text())["verdicts"]
    tests = [(Case(**one["case"]), one) for one in verdicts if one["case"]["suite"].endswith(".py")]
    return {node_id(case): (one["word"], one["reason"]) for case, one in tests}


def test_the_same_code_is_never_red(repository: Path) -> None:
    commit(repository, {"README": "a change that nothing loads"})
    done = gate(repository)
    assert done.returncode in (0, 3), done.stdout + done.stderr
    assert "both sides loaded the same 3 files" in done.stdout
    run = bitbench("show", "out/head", "--format", "json", folder=repository)
    assert run.returncode == 0, run.stderr
    assert worktrees(repository) == 1


def test_a_slowdown_is_red_and_the_test_is_named(repository: Path) -> None:
    commit(repository, {"src/demo/__init__.py": CODE.format(fast=0.01, slow=0.03)})
    done = gate(repository)
    assert done.returncode == 1, done.stdout + done.stderr
    words = words_of(repository)
    assert words["bench/test_demo.py::test_slow"][0] == "regressed"
    assert words["bench/test_demo.py::test_fast[large]"][0] != "regressed"
    assert "1 of the 3 files that either side loaded differs: src/demo/__init__.py" in done.stdout


def test_what_fails_is_skipped_or_is_gone_is_said_and_never_green(repository: Path) -> None:
    head = TESTS.replace("benchmark(slow) == 42", "benchmark(slow) == 43").replace("def test_fast", "def test_renamed")
    head += "\ndef test_left_out(benchmark):\n    pytest.skip('not today')\n"
    base = TESTS + "\ndef test_left_out(benchmark):\n    benchmark(fast)\n"
    commit(repository, {"bench/test_demo.py": base})
    commit(repository, {"bench/test_demo.py": head})
    done = gate(repository, "--pytest-args", "-p no:cacheprovider")
    assert done.returncode == 1, done.stdout + done.stderr
    words = words_of(repository)
    assert words["bench/test_demo.py::test_slow"][0] == "regressed"
    assert "assert 42 == 43" in words["bench/test_demo.py::test_slow"][1]
    assert words["bench/test_demo.py::test_fast[large]"][0] == "not_measured"
    assert words["bench/test_demo.py::test_renamed[large]"][0] == "new"
    assert words["bench/test_demo.py::test_left_out"][0] == "not_measured"
    assert "not today" in words["bench/test_demo.py::test_left_out"][1]


def test_a_head_that_cannot_be_imported_is_red_and_a_base_is_refused(repository: Path) -> None:
    commit(repository, {"src/demo/__init__.py": "raise ImportError('half done')"})
    done = gate(repository)
    assert (done.returncode, "head is broken" in done.stderr, "half done" in done.stderr) == (1, True, True), done
    done = bitbench(
        "gate", "--base", "HEAD", "--head", "HEAD~1", "--pytest", "bench", "--out", "other", folder=repository
    )
    assert (done.returncode, "base is broken" in done.stderr) == (2, True), done


def test_nothing_in_common_is_nothing_measured(repository: Path) -> None:
    (repository / "bench" / "test_demo.py").unlink()
    commit(repository, {"bench/test_other.py": TESTS.replace("def test_", "def test_new_")})
    assert gate(repository).returncode == 5
    commit(repository, {"bench/test_other.py": "def test_plain():\n    pass\n"})
    commit(repository, {"README": "two revisions without a benchmark"})
    shutil.rmtree(repository / "out")
    done = gate(repository)
    assert (done.returncode, "uses the fixture `benchmark`" in done.stderr) == (5, True), done


def test_code_from_outside_its_checkout_ends_the_gate(repository: Path) -> None:
    stray = f"import sys\nsys.path.insert(0, {str(repository / 'aids')!r})\nimport aid\n"
    commit(repository, {"bench/conftest.py": stray, "aids/aid.py": ""})
    commit(repository, {"README": "more"})
    done = gate(repository)
    assert (done.returncode, "which is not in its own checkout" in done.stderr) == (2, True), done


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("gate", "--base", "HEAD", "quick", "--pytest", "bench"), "quick is another word"),
        (("gate", "--base", "HEAD", "--python", "python3"), "for --pytest PATH"),
        (("gate", "--base", "HEAD", "--pytest", "bench", "--impl", "native"), "--impl: of suites"),
        (("gate", "--base", "HEAD", "--pytest", "nowhere"), "neither revision has it"),
        (("gate", "--base", "HEAD", "--pytest", "/tmp"), "both sides would run that one file"),
        (("gate", "--base", "HEAD", "--pytest", "bench", "--python", "./no/python"), "is no program here"),
        (("gate", "--base", "HEAD", "--pytest", "bench", "--pytest-args", "'"), "No closing quotation"),
        (("gate", "--pytest", "bench"), "--pytest: for what is measured now"),
    ],
)
def test_what_is_no_option_of_such_a_gate_is_one_line(repository: Path, words: tuple[str, ...], says: str) -> None:
    done = bitbench(*words, folder=repository)
    assert (done.returncode, says in done.stderr, len(done.stderr.splitlines())) == (2, True, 1), done


def test_an_interpreter_of_the_checkouts_own_is_taken_and_its_search_path_left_alone(repository: Path) -> None:
    link = f"import os; os.symlink({sys.executable!r}, 'own-python')"
    commit(repository, {"README": "more"})
    done = gate(repository, "--build", shlex.join((sys.executable, "-c", link)), "--python", "./own-python")
    assert (done.returncode, "base is broken" in done.stderr) == (2, True), done
    assert "demo" in done.stderr, "its packages are those that it has itself"


@pytest.mark.parametrize("test", ["a/b_test.py::test_x", "a/b_test.py::TestA::test_x[1-a::b[c]]", "t.py::test[01]"])
def test_a_node_id_is_a_case_and_back(test: str) -> None:
    assert node_id(case_of(test)) == test
    assert Case.parse(case_of(test).name).suite == test.partition("::")[0]


def test_short_values_are_pooled_to_samples_and_long_ones_stay() -> None:
    pooled, loops = pool([1e-6] * 25_000, 10, 0.005)
    assert (len(pooled), loops) == (50, 5000)
    assert math.isclose(pooled[0], 1e-6)
    assert pool([0.3, 0.2, 0.1], 1, 0.005) == ([0.3, 0.2, 0.1], 1)
    assert pool([0.0, 0.0], 1, 0.005) == ([0.0], 2)
