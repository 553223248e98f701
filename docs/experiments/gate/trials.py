"""Gates whose right answer is known, on this machine: `python trials.py RECORD --experiment NAME --times N`.

Every gate appends one line to RECORD: run it again, on any day, to add to it. `python trials.py RECORD --table` prints
what is recorded, as Markdown.
"""

import argparse
import random
import statistics
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from kind_of_machine import FIRST, kind_of_machine
from neighbour import neighbour

from harness.analysis.proportion import Share
from harness.commands.selftest_gate import SIX
from harness.gate.progress import Narrator
from harness.gate.trials import SUITE, TrialGate, by_case, cases_of, hold, round_noise, share
from harness.machine.environment import available_memory
from harness.machine.revision import revision
from harness.model import Request
from harness.model.injection import Injection
from harness.model.rules import Rules

SHORT = 1e-4
"""Seconds of a call below which a case may be inconclusive."""
HALF = 25.0
"""Seconds after which a gate of six cases is in the second half of its first four rounds."""


@dataclass(frozen=True)
class Experiment:
    """A kind of gate: which cases, what is injected, and who disturbs it."""

    keyword: str = ""
    inject: float = 0.0
    everywhere: bool = False
    kind: str = "spin"
    neighbour: str = ""


EXPERIMENTS = {
    "same": Experiment(),
    "late-neighbour": Experiment(SIX, neighbour="late"),
    "bursts": Experiment(SIX, neighbour="bursts"),
    "slower-10": Experiment(SIX, inject=0.10),
    "slower-5": Experiment(SIX, inject=0.05),
    "slower-5-work": Experiment(SIX, inject=0.05, kind="work"),
    "slower-2-everywhere": Experiment(SIX, inject=0.02, everywhere=True),
    "faster-10": Experiment(SIX, inject=-0.10),
}


class Line(msgspec.Struct, frozen=True):
    """One gate in the record."""

    experiment: str
    number: int
    trial: TrialGate
    machine: str = FIRST
    revision: str = ""
    """The commit of the gate itself; the oldest gates are without one."""


def read(record: Path) -> list[Line]:
    """The gates so far."""
    if not record.exists():
        return []
    return [msgspec.json.decode(line, type=Line) for line in record.read_bytes().splitlines() if line.strip()]


def main() -> None:
    """One experiment more, or the table."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("record", type=Path)
    words.add_argument("--experiment", choices=EXPERIMENTS)
    words.add_argument("--times", type=int, default=1, help="so many gates more")
    words.add_argument("--table", action="store_true")
    words.add_argument("--inconclusive", action="store_true", help="print which rows of the same code stay undecided")
    words.add_argument("--machine", default="", help="of the table: only gates of machines whose kind has this in it")
    words.add_argument("--named", action="store_true", help="of either table: only gates that name their commit")
    given = words.parse_args()
    if given.table:
        shown = [line for line in read(given.record) if given.machine in line.machine]
        print(table([line for line in shown if line.revision or not given.named]))
        return
    if given.inconclusive:
        same = [line for line in read(given.record) if line.experiment == "same"]
        print(undecided([line for line in same if line.revision or not given.named]))
        return
    for _ in range(given.times):
        number = sum(line.experiment == given.experiment for line in read(given.record))
        trial = one(EXPERIMENTS[given.experiment], number)
        line = Line(given.experiment, number, trial, kind_of_machine(), revision().commit[:7])
        with given.record.open("ab") as file:
            file.write(msgspec.json.encode(line) + b"\n")
        print(f"{given.experiment} {number}: {told(line.trial)}", file=sys.stderr)


def one(experiment: Experiment, number: int) -> TrialGate:
    """One gate. The case that is slowed down follows from its number."""
    request = Request(
        suites=(SUITE,), keyword=experiment.keyword, budget=300.0, memory_limit=available_memory(), seed=number
    )
    injection = None
    if experiment.inject:
        names = cases_of(request)
        match = "" if experiment.everywhere else random.Random(number).choice(names)
        injection = Injection(experiment.kind, experiment.inject, match)  # type: ignore[arg-type]  # one of the two
    with neighbour(experiment.neighbour, HALF):
        return hold(request, Rules(), injection, Narrator(lambda line: print(f"  {line}", file=sys.stderr)))


def told(trial: TrialGate) -> str:
    """One gate in one line."""
    words = [row.word for row in trial.cases.values()]
    counts = ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words))  # type: ignore[arg-type]
    mean = trial.mean.word if trial.mean else "none"
    return f"{counts}; mean {mean}; {trial.rounds} rounds in {trial.seconds:.0f} s; {trial.invalid}"


def table(lines: Sequence[Line]) -> str:
    """What became of the gates, one row an experiment."""
    rows = ["| experiment | gates | what was asked | so it was | rounds | seconds |", "|---|---|---|---|---|---|"]
    machines = Counter(line.machine for line in lines)
    for name in EXPERIMENTS:
        trials = [line.trial for line in lines if line.experiment == name]
        if trials:
            rounds = statistics.median(trial.rounds for trial in trials)
            seconds = statistics.median(trial.seconds for trial in trials)
            for asked, found in questions(name, trials):
                rows.append(f"| {name} | {len(trials)} | {asked} | {found} | {rounds:g} | {seconds:.0f} |")
    held = (f"{count} of these gates were held on: {machine}" for machine, count in machines.items())
    return "\n".join([*rows, "", *held])


def undecided(lines: Sequence[Line]) -> str:
    """How many rows of calls that are not short are inconclusive: by machine and commit, and over all."""
    rows = ["| gates | machine | commit | noise, % | rounds | inconclusive | packed |", "|---|---|---|---|---|---|---|"]
    kinds: dict[tuple[str, str], list[TrialGate]] = {}
    for line in lines:
        kinds.setdefault((line.machine, line.revision), []).append(line.trial)
    kinds["all", ""] = [line.trial for line in lines]
    for (machine, commit), trials in kinds.items():
        cases = [(name, row) for trial in trials for name, row in trial.cases.items() if row.seconds >= SHORT]
        noise = 100 * statistics.median(statistics.stdev(row.log_ratios) for _, row in cases)
        names = [name for name, row in cases if row.word == "inconclusive"]
        packed = [name for name, _ in cases if "implementation=packed/" in name]
        rounds = sorted(trial.rounds for trial in trials)
        counts = f"{rounds[0]} to {rounds[-1]} | {Share.count(len(names), len(cases))}"
        of_packed = f"{sum('implementation=packed/' in name for name in names)} of {len(packed)}"
        rows.append(f"| {len(trials)} | {machine} | {commit} | {noise:.1f} | {counts} | {of_packed} |")
    return "\n".join(rows)


def questions(name: str, trials: Sequence[TrialGate]) -> Iterator[tuple[str, str]]:
    """What is to be known of an experiment, and what it says."""
    if name in ("same", "late-neighbour", "bursts"):
        yield "no case is red", str(share(trials, lambda trial: not trial.reds))
        yield "geometric mean is not red", str(share(trials, lambda trial: word_of_mean(trial) != "regressed"))
        yield "no sentinel moved", str(share(trials, lambda trial: not trial.invalid))
        long = [row for trial in trials for row in trial.cases.values() if row.seconds >= SHORT]
        inconclusive = sum(row.word == "inconclusive" for row in long)
        yield "rows of 100 us and more inconclusive", str(Share.count(inconclusive, len(long)))
        noise = [round_noise(rows) for rows in by_case(trials).values()]
        yield "noise of a round, by case", " ".join(f"{100 * value:.1f}" for value in sorted(noise)) + " %"
        return
    if name == "slower-2-everywhere":
        yield "no single case is red", str(share(trials, lambda trial: not trial.reds))
        yield "geometric mean is red", str(share(trials, lambda trial: word_of_mean(trial) == "regressed"))
        return
    wanted = "improved" if name.startswith("faster") else "regressed"
    yield f"the case is {wanted}", str(share(trials, lambda trial: bool(trial.target and trial.target.word == wanted)))
    yield "the case is ok", str(share(trials, lambda trial: bool(trial.target and trial.target.word == "ok")))
    yield "no other case is red", str(share(trials, lambda trial: not trial.false_reds))
    yield "no sentinel moved", str(share(trials, lambda trial: not trial.invalid))


def word_of_mean(trial: TrialGate) -> str:
    """The verdict on the geometric mean."""
    return trial.mean.word if trial.mean else ""


if __name__ == "__main__":
    main()
