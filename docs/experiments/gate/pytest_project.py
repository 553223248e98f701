"""`bitbench gate --pytest` of a package that knows nothing of it: the same code on both sides, and 10 % more work.

    taskset -c 1 python docs/experiments/gate/pytest_project.py RECORD --same 2 --slower 2 [--budget 50s]

The package is parse 1.20.2 (MIT, one module of pure Python), fetched by pip as its source. The slowdown is put into its
compilation of a format: every tenth is done twice. RECORD gets one line of JSON a gate.
"""

import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

PACKAGE = "parse==1.20.2"
TESTS = """
import parse
import pytest

LINES = [f"2026-11-{day:02d} INFO worker {day}: took {day}.5 ms" for day in range(1, 29)]
FORMAT = "{date} {level} worker {number:d}: took {took:f} ms"

@pytest.mark.parametrize("lines", [1, 28])
def test_parse_lines(benchmark, lines):
    pattern = parse.compile(FORMAT)
    assert benchmark(lambda: [pattern.parse(line)["number"] for line in LINES[:lines]])[0] == 1

def test_compile(benchmark):
    assert benchmark(parse.Parser, FORMAT).named_fields

def test_findall(benchmark):
    text = ", ".join(f"<{number}>" for number in range(50))
    assert len(list(benchmark(lambda: list(parse.findall("<{:d}>", text))))) == 50
"""
TWICE = """        CALLS[0] += 1
        if CALLS[0] % 11 == 10:  # the call within counts, too
            Parser(format, extra_types, case_sensitive)
"""
COUNTER = (
    "CALLS = [0]  # no attribute of the class: to write one costs every later look at it, far more than 10 %\n\n\n"
)
CLASS = "class Parser(object):\n"
EXPENSIVE = "        self._expression = self._generate_expression()\n"


def main() -> None:
    """Hold the gates, and print what became of each."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("record", type=Path)
    asked.add_argument("--same", type=int, default=0, help="gates of the same code")
    asked.add_argument("--slower", type=int, default=0, help="gates with 10 %% more work in one test")
    asked.add_argument("--budget", default="50s")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        project = _project(Path(folder))
        for number in range(given.same + given.slower):
            injected = 0.1 if number >= given.same else 0.0
            cores = len(os.sched_getaffinity(0))
            line = {
                "injected": injected,
                "cores": cores,
                **_gate(project, injected, given.budget, Path(folder, f"gate-{number}")),
            }
            with given.record.open("a") as record:
                record.write(json.dumps(line) + "\n")
            words = ", ".join(f"{name} {one['word']} {one['change']}" for name, one in line["tests"].items())
            print(f"+{100 * injected:.0f} %: exit code {line['code']} after {line['rounds']} rounds: {words}")


def _project(folder: Path) -> Path:
    """A repository of the package with tests: a commit as it is, one that changes nothing, one with the slowdown."""
    fetch = ("download", "-q", "--no-deps", "--no-binary", ":all:", "-d", str(folder), PACKAGE)
    subprocess.run((sys.executable, "-m", "pip", *fetch), check=True)
    (source,) = folder.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        archive.extractall(folder, filter="data")
    (project,) = (path for path in folder.iterdir() if path.is_dir())
    (project / "bench").mkdir()
    (project / "bench" / "test_parse.py").write_text(TESTS)
    _git(project, "init", "-q")
    _commit(project, "base")
    (project / "NOTE").write_text("nothing that is loaded\n")
    _commit(project, "same")
    module = project / "parse.py"
    text = module.read_text()
    for place, added in ((CLASS, COUNTER), (EXPENSIVE, TWICE)):
        if text.count(place) != 1:
            raise SystemExit(f"{PACKAGE} is not the package that the slowdown was written for: {place!r}")
        text = text.replace(place, added + place)
    module.write_text(text)
    _commit(project, "slower")
    return project


def _commit(project: Path, name: str) -> None:
    _git(project, "add", "-A")
    _git(project, "-c", "user.name=experiment", "-c", "user.email=experiment@localhost", "commit", "-qm", name)
    _git(project, "tag", name)


def _git(project: Path, *words: str) -> None:
    subprocess.run(("git", "-C", str(project), *words), check=True)


def _gate(project: Path, injected: float, budget: str, out: Path) -> dict[str, object]:
    head = "slower" if injected else "same"
    words = ("gate", "--base", "base", "--head", head, "--pytest", "bench", "--budget", budget, "--out", str(out))
    lean = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "pytest_benchmark.plugin"}
    done = subprocess.run(
        (sys.executable, "-P", "-m", "harness.cli", *words),
        cwd=project,
        env=os.environ | lean,
        capture_output=True,
        text=True,
        check=False,
    )
    verdict = json.loads((out / "verdict.json").read_text())
    tests = {}
    for one in verdict["verdicts"]:
        change = one["change"] or {"centre": float("nan")}
        name = "/".join((one["case"]["implementation"], *map(str, one["case"]["params"].values())))
        logs = list(one["log_ratios"].values())
        tests[name] = {"word": one["word"], "change": f"{100 * change['centre']:+.1f} %", "log_ratios": logs}
    rounds = max((len(one["log_ratios"]) for one in tests.values()), default=0)
    return {"code": done.returncode, "rounds": rounds, "tests": tests}


if __name__ == "__main__":
    main()
