"""asv continuous and pytest-benchmark's compare-fail, at their documented settings, on changes whose size is known.

`python rivals.py RECORD --slower 0.05 --times N` appends one line a tool and change to RECORD; `--slower 0` is the same
code under another commit. `--neighbour late|bursts` has another process compute meanwhile, as in trials.py: `late` in
the second half of what the tool took in a rehearsal, which is when these tools measure head. `--table` prints what is
recorded, as Markdown. The six cases and the slowdown, a spin for a share of each call in one of them, are those of
trials.py. Needs the extra `experiments`.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from kind_of_machine import FIRST, kind_of_machine
from neighbour import KINDS, neighbour

from harness.analysis.proportion import Share
from harness.machine.git import environment

CASES = tuple(f"{name}-{m}" for name in ("eager", "int8", "bf16") for m in (16, 128))

LAYER = '''"""Six calls; one of them may be slower."""

import time

import torch

from bitlinear.implementations import IMPLEMENTATIONS
from bitlinear.layer import BitLinear

CASES = {cases}
SLOWER = {slower!r}  # {note}


def build(case):
    name, _, m = case.partition("-")
    torch.set_num_threads({threads})
    torch.manual_seed(0)
    chosen = next(one for one in IMPLEMENTATIONS if one.name == name)
    op = chosen.build(BitLinear(1024, 1024, weight_bits=1.58))
    x = torch.randn(int(m), 1024)
    share = SLOWER.get(case, 0.0)

    def call():
        with torch.inference_mode():
            start = time.perf_counter()
            op(x)
            now = time.perf_counter()
            end = now + share * (now - start)
            while share and time.perf_counter() < end:
                pass

    call()
    return call
'''
ASV = """import layer


class Calls:
    params = layer.CASES
    param_names = ("case",)

    def setup(self, case):
        self.call = layer.build(case)

    def time_call(self, case):
        self.call()
"""
PYTEST = """import pytest

import layer


@pytest.mark.parametrize("case", layer.CASES)
def test_call(benchmark, case):
    benchmark(layer.build(case))
"""
_INSTALL = """import pathlib, shutil, sys, sysconfig
here = pathlib.Path(sysconfig.get_paths()["purelib"])
shutil.copy("layer.py", here)
(here / "lent.pth").write_text("{paths}")
"""
"""asv's environments are empty: the package is copied into them, and what is installed here is lent to them."""
CONFIGURATION = {
    "version": 1,
    "project": "layer",
    "repo": ".",
    "branches": ["main"],
    "environment_type": "virtualenv",
    "build_command": [],
    "install_command": ["in-dir={build_dir} python install.py"],
    "uninstall_command": ["return-code=any python -c \"print('the next one replaces it')\""],
}


class Line(msgspec.Struct, frozen=True):
    """One verdict of one tool."""

    tool: str
    slower: float
    red: tuple[str, ...]
    """The cases that it says are slower."""
    target: str
    """The case that is; empty for the same code."""
    seconds: float
    neighbour: str = ""
    machine: str = FIRST


def main() -> None:
    """Some repetitions more, or the table."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("record", type=Path)
    words.add_argument("--slower", type=float, default=0.0)
    words.add_argument("--neighbour", choices=KINDS, default="")
    words.add_argument("--times", type=int, default=1)
    words.add_argument("--table", action="store_true")
    given = words.parse_args()
    if given.table:
        print(table([msgspec.json.decode(line, type=Line) for line in given.record.read_bytes().splitlines()]))
        return
    with tempfile.TemporaryDirectory() as folder:
        repository = Path(folder)
        prepare(repository)
        change(repository, {})
        took = (
            {tool: judged(tool, repository, "")[1] for tool in TOOLS} if given.neighbour else dict.fromkeys(TOOLS, 0.0)
        )
        for _ in range(given.times):
            target = random.choice(CASES) if given.slower else ""
            change(repository, {target: given.slower} if target else {})
            for tool in random.sample(list(TOOLS), len(TOOLS)):
                red, seconds = judged(tool, repository, given.neighbour, took[tool] / 2)
                line = Line(tool, given.slower, tuple(red), target, seconds, given.neighbour, kind_of_machine())
                with given.record.open("ab") as file:
                    file.write(msgspec.json.encode(line) + b"\n")
                print(line, file=sys.stderr)


def judged(tool: str, repository: Path, kind: str, half: float = 0.0) -> tuple[list[str], float]:
    """The cases that a tool says are slower, and the seconds that it took to say so."""
    with neighbour(kind, half):
        began = time.monotonic()
        return TOOLS[tool](repository), time.monotonic() - began


def git(repository: Path, *words: str) -> None:
    """Run git in the repository."""
    name = ("-c", "user.name=experiment", "-c", "user.email=experiment@localhost")
    subprocess.run(("git", "-C", str(repository), *name, *words), check=True, capture_output=True, env=environment())


def prepare(repository: Path) -> None:
    """A repository whose first commit is the base of all changes."""
    git(repository, "init", "-b", "main")
    (repository / "benchmarks").mkdir()
    (repository / "benchmarks" / "__init__.py").touch()
    (repository / "benchmarks" / "calls.py").write_text(ASV)
    (repository / "test_layer.py").write_text(PYTEST)
    (repository / "asv.conf.json").write_text(json.dumps(CONFIGURATION))
    (repository / ".gitignore").write_text(".asv\n.benchmarks\nenv\n__pycache__\n")
    paths = "\\n".join([sysconfig.get_paths()["purelib"], str(Path(__file__).parents[3])])
    (repository / "install.py").write_text(_INSTALL.format(paths=paths))
    write(repository, {}, "base")
    git(repository, "add", "--all")
    git(repository, "commit", "-m", "base")
    git(repository, "tag", "base")
    subprocess.run(("asv", "machine", "--yes"), cwd=repository, check=True, capture_output=True)


def write(repository: Path, slower: dict[str, float], note: str) -> None:
    """The package, with a slowdown."""
    text = LAYER.format(cases=CASES, slower=slower, note=note, threads=len(os.sched_getaffinity(0)))
    (repository / "layer.py").write_text(text)


def change(repository: Path, slower: dict[str, float]) -> None:
    """Another commit on the base, tagged `head`."""
    git(repository, "checkout", "--force", "-B", "main", "base")
    write(repository, slower, f"head {time.time_ns()}")
    git(repository, "commit", "--all", "-m", "head")
    git(repository, "tag", "--force", "head")


def asv(repository: Path) -> list[str]:
    """`asv continuous base head`, which is red beyond a factor of 1.1 by default."""
    done = subprocess.run(
        ("asv", "continuous", "--show-stderr", "base", "head"),
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )
    if "BENCHMARKS NOT SIGNIFICANTLY CHANGED" not in done.stdout and "time_call" not in done.stdout:
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-2000:])
    worse = [line for line in done.stdout.splitlines() if line.startswith("|") and line[1:3].strip() == "+"]
    return [case for case in CASES for line in worse if f"'{case}'" in line]


def pytest_benchmark(statistic: str) -> Callable[[Path], list[str]]:
    """Save base, then compare head with it; red beyond 5 %, as in its documentation."""

    def judge(repository: Path) -> list[str]:
        said = ""
        for tag, words in (("base", ()), ("head", ("--benchmark-compare", f"--benchmark-compare-fail={statistic}:5%"))):
            git(repository, "checkout", "--force", tag)
            done = subprocess.run(
                (sys.executable, "-m", "pytest", "-q", "--benchmark-autosave", *words, "test_layer.py"),
                cwd=repository,
                capture_output=True,
                text=True,
                check=False,
            )
            said = done.stdout + done.stderr
            if not all(f"test_call[{case}]" in said for case in CASES):
                raise RuntimeError(said[-2000:])
        git(repository, "checkout", "--force", "main")
        worse = [line for line in said.splitlines() if "PercentageRegression" in line]
        return [case for case in CASES if any(f"[{case}]" in line for line in worse)]

    return judge


TOOLS: dict[str, Callable[[Path], list[str]]] = {
    "asv continuous": asv,
    "pytest-benchmark, min:5%": pytest_benchmark("min"),
    "pytest-benchmark, mean:5%": pytest_benchmark("mean"),
}


def table(lines: Sequence[Line]) -> str:
    """One row a tool, change and neighbour."""
    rows = [
        "| tool | change | neighbour | runs | found | runs with a false red | seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    for tool in TOOLS:
        for slower, kind in sorted({(line.slower, line.neighbour) for line in lines}):
            some = [line for line in lines if (line.tool, line.slower, line.neighbour) == (tool, slower, kind)]
            found = Share.count(sum(line.target in line.red for line in some), len(some)) if slower else "-"
            false = Share.count(sum(bool(set(line.red) - {line.target}) for line in some), len(some))
            seconds = sum(line.seconds for line in some) / max(1, len(some))
            change_in_words = f"+{100 * slower:g} % in one of 6" if slower else "none"
            rows.append(
                f"| {tool} | {change_in_words} | {kind or 'none'} | {len(some)} | {found} | {false} | {seconds:.0f} |"
            )
    return "\n".join(rows)


if __name__ == "__main__":
    main()
