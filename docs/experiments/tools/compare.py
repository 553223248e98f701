"""Time and error of several tools on calls that are equal, side by side: `python compare.py RECORD [--repetitions N]`.

Every repetition runs each tool once, in random order, as a command of its own, and appends one line to RECORD: run it
again to add to it. `python compare.py RECORD --table` prints what is recorded.
"""

import argparse
import json
import math
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from calls import CALLS

from harness.analysis.pairs import in_one_run
from harness.analysis.results import contests, results
from harness.machine.git import environment
from harness.store import load

HERE = Path(__file__).parent
Pairs = dict[str, list[float]]
"""By call: what the tool says of either side."""


def run(*words: str, cwd: Path = HERE) -> str:
    """What a command prints; raises CalledProcessError when it fails."""
    done = subprocess.run(words, cwd=cwd, env=environment(), check=True, capture_output=True, text=True)
    return done.stdout


def in_process(script: str) -> Callable[[Path], Pairs]:
    """A script that prints its pairs."""
    return lambda _: json.loads(run(sys.executable, str(HERE / script)))


def pytest_benchmark(statistic: str) -> Callable[[Path], Pairs]:
    """One of pytest-benchmark's statistics."""

    def measure(folder: Path) -> Pairs:
        out = folder / "benchmark.json"
        run(sys.executable, "-m", "pytest", "-q", "test_with_pytest_benchmark.py", f"--benchmark-json={out}")
        pairs: Pairs = {}
        for one in json.loads(out.read_text())["benchmarks"]:
            pairs.setdefault(one["extra_info"]["name"], []).append(one["stats"][statistic])
        return pairs

    return measure


def pyperf(folder: Path) -> Pairs:
    """Means of pyperf."""
    import pyperf as library

    out = folder / "pyperf.json"
    run(sys.executable, str(HERE / "with_pyperf.py"), "--quiet", "-o", str(out))
    pairs: Pairs = {}
    for one in library.BenchmarkSuite.load(str(out)):
        pairs.setdefault(one.get_name().partition("/")[0], []).append(one.mean())
    return pairs


def asv(folder: Path) -> Pairs:
    """Medians of asv, from a repository with one commit."""
    for words in (
        ("init", "-q"),
        ("-c", "user.name=x", "-c", "user.email=x", "commit", "-q", "--allow-empty", "-m", "x"),
    ):
        run("git", *words, cwd=folder)
    conf = {"version": 1, "project": "calls", "repo": str(folder), "benchmark_dir": str(HERE / "asv")}
    (folder / "asv.conf.json").write_text(json.dumps({**conf, "environment_type": "existing", "branches": ["HEAD"]}))
    commit = run("git", "rev-parse", "HEAD", cwd=folder).strip()
    command = (str(Path(sys.executable).parent / "asv"),)
    run(*command, "machine", "--yes", cwd=folder)
    run(*command, "run", "--python", "same", "--set-commit-hash", commit, cwd=folder)
    (stored,) = (path for path in (folder / "results").glob("*/*.json") if path.name != "machine.json")
    (found,) = json.loads(stored.read_text())["results"].values()
    values, (names, _) = found[0], found[1]
    half = len(values) // len(names)
    return {name.strip("'"): values[half * i : half * i + half] for i, name in enumerate(names)}


def bitbench(folder: Path) -> Pairs:
    """The suite `same` of bitbench, four rounds."""
    run(sys.executable, "-m", "harness.cli", "run", "same", "--rounds", "4", "--out", str(folder / "run"))
    stored = load(folder / "run")
    pairs: Pairs = {}
    for members in contests(results(stored.records, stored.run.aims).values()).values():
        p = members[0].case.params
        name = next(name for name, sizes in CALLS.items() if sizes == (p["m"], p["k"], p["n"]))
        pairs[name] = [1.0, in_one_run(*members).ratio]
    return pairs


TOOLS: dict[str, Callable[[Path], Pairs]] = {
    "torch blocked_autorange": in_process("with_autorange.py"),
    "pytest-benchmark, min": pytest_benchmark("min"),
    "pytest-benchmark, median": pytest_benchmark("median"),
    "asv": asv,
    "pyperf": pyperf,
    "interleave_builds": in_process("with_interleave.py"),
    "bitbench run, 4 rounds": bitbench,
}


def measure(record: Path, tools: list[str], repetitions: int) -> None:
    """Add repetitions until every one of `tools` has so many."""
    while waiting := [tool for tool in tools if count(record, tool) < repetitions]:
        random.shuffle(waiting)
        for tool in waiting:
            with tempfile.TemporaryDirectory() as folder:
                start = time.monotonic()
                pairs = TOOLS[tool](Path(folder))
                wall = time.monotonic() - start
            logs = {name: math.log(other / one) for name, (one, other) in pairs.items()}
            with record.open("a") as file:
                file.write(json.dumps({"tool": tool, "wall": wall, "log_ratios": logs}) + "\n")


def recorded(record: Path) -> list[dict[str, object]]:
    """Every line."""
    return [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []


def count(record: Path, tool: str) -> int:
    """How many repetitions there are of a tool."""
    return sum(line["tool"] == tool for line in recorded(record))


def table(record: Path) -> str:
    """Root mean square and 95th percentile of the error, wall time of the command."""
    lines = recorded(record)
    names = list(lines[0]["log_ratios"])  # type: ignore[call-overload]  # JSON comes untyped
    rows = ["| tool | repetitions | wall time | " + " | ".join(names) + " |", "|---|---|---|" + "---|" * len(names)]
    for tool in TOOLS:
        mine = [line for line in lines if line["tool"] == tool]
        if mine:
            wall = statistics.median(line["wall"] for line in mine)  # type: ignore[type-var]  # JSON comes untyped
            cells = [error([line["log_ratios"][name] for line in mine]) for name in names]  # type: ignore[index]  # likewise
            rows.append(f"| {tool} | {len(mine)} | {wall:.1f} s | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def error(logs: list[float]) -> str:
    """`0.85 % (2.0 %)`: root mean square, and 95th percentile of the magnitude."""
    magnitudes = sorted(map(abs, logs))
    worst = magnitudes[min(len(logs) - 1, math.ceil(0.95 * len(logs)) - 1)]
    return f"{100 * math.sqrt(statistics.fmean(log**2 for log in logs)):.2f} % ({100 * worst:.1f} %)"


def main() -> None:
    """Measure, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("record", type=Path)
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument("--tool", action="append", choices=TOOLS, help="may be given several times; all by default")
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    if not options.table:
        measure(options.record, options.tool or [*TOOLS], options.repetitions)
    print(table(options.record))


if __name__ == "__main__":
    main()
