"""What a run costs in two checkouts, in turns: `compare.py A B RECORD SUITE [OPTION ...]`.

A and B are folders of checkouts, each with its own `.venv`; the words after RECORD are those of `bitbench run`. Appends
a JSON line a run to the file RECORD: the commit, wall seconds of the whole command, seconds of timed loops, and the
median half width of the intervals of latency over the cases that both checkouts have, in per cent.
`compare.py RECORD --table` prints the ratios.
"""

import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness.analysis.results import of_run
from harness.store import load


def measured(folder: Path, words: list[str]) -> dict[str, object]:
    """One run of the checkout in `folder`."""
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "run"
        command = [str(folder / ".venv" / "bin" / "bitbench"), "run", *words, "--out", str(out)]
        start = time.perf_counter()
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        wall = time.perf_counter() - start
        if not (out / "run.jsonl").exists():
            raise SystemExit(f"{folder}: {done.stderr.strip()[-500:]}")
        stored = load(out)
    widths = {}
    for name, result in of_run(stored).items():
        summary = result.summary("latency")
        if summary and math.isfinite(summary.hi):
            widths[name] = summary.hi / summary.centre - 1
    return {
        "commit": stored.run.revision.commit[:7],
        "words": words,
        "code": done.returncode,
        "wall": round(wall, 2),
        "timed": round(sum(record.timed for record in stored.records), 2),
        "records": len(stored.records),
        "widths": {name: round(100 * width, 3) for name, width in widths.items()},
    }


def table(lines: list[dict]) -> None:
    """A row a suite and pair of commits, the ratio of the second to the first."""
    for words in dict.fromkeys(" ".join(line["words"]) for line in lines):
        runs = [line for line in lines if " ".join(line["words"]) == words]
        first, second = dict.fromkeys(line["commit"] for line in runs)
        sides = [[line for line in runs if line["commit"] == commit] for commit in (first, second)]
        walls = [statistics.median(line["wall"] for line in side) for side in sides]
        shares = [statistics.median(line["timed"] / line["wall"] for line in side) for side in sides]
        common = set.intersection(*(set(line["widths"]) for line in runs))
        widths = [statistics.median(line["widths"][name] for line in side for name in common) for side in sides]
        print(f"{words}: {first} -> {second}, {len(sides[0])} and {len(sides[1])} runs, {len(common)} cases")
        print(f"  wall {walls[0]:.1f} -> {walls[1]:.1f} s, ratio {walls[1] / walls[0]:.2f}")
        print(f"  timed share {shares[0]:.0%} -> {shares[1]:.0%}")
        print(f"  median half width {widths[0]:.1f} % -> {widths[1]:.1f} %")


if __name__ == "__main__":
    if sys.argv[2] == "--table":
        table([json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()])
    else:
        one, other, record, *given = sys.argv[1:]
        for side in (one, other):
            with Path(record).open("a") as file:
                file.write(json.dumps(measured(Path(side).resolve(), given)) + "\n")
