"""`bitbench selftest gate`: gates of the same code and of known slowdowns, and how often the gate was right."""

import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import msgspec

from harness.errors import NothingMeasuredError, UsageError
from harness.estimators.t_test import detectable
from harness.gate import resolution
from harness.gate.progress import Narrator
from harness.gate.resolution import Resolution
from harness.gate.trials import SUITE, TrialGate, by_case, cases_of, hold, round_noise, share
from harness.machine.environment import available_memory, combine, machine
from harness.model import Environment, Request
from harness.model.injection import Injection, InjectionKind
from harness.model.rules import Rules
from harness.model.units import amount, parse_share
from harness.runner.process import describe_torch
from harness.show.table import Block, Cell, Column, Format, Table, pretty_json, render

SIX = "(eager or int8 or bf16) and not bf16-naive and not m=1/"
"""Six cases whose calls take 100 us and more."""


@dataclass(frozen=True)
class Planned:
    """Which gates are to be held: so many of the same code, and for each share so many of a slowdown by it."""

    same: int
    shares: Sequence[str]
    times: int
    kind: InjectionKind
    everywhere: bool
    """Into every case and not into one at random."""


def measure(planned: Planned, request: Request, rules: Rules, out: Path | None) -> tuple[Environment, list[TrialGate]]:
    """Hold the gates that were asked for; what is learned of the noise is kept for the gates to come.

    Their runs are kept in `out`, if that is given.
    """
    injections = [parse_share(text) for text in planned.shares]
    gates: list[tuple[float, int]] = [(0.0, number) for number in range(planned.same)]
    gates += [(part, number) for part in injections for number in range(planned.times)]
    if not gates:
        raise UsageError("nothing to do: give --aa N, or --inject 5% with --times N")
    chosen = request.keyword or request.implementations or request.axes or not injections
    request = msgspec.structs.replace(
        request,
        suites=(SUITE,),
        keyword=request.keyword if chosen else SIX,
        memory_limit=available_memory(),
    )
    names = cases_of(request)
    trials: list[TrialGate] = []
    for part, number in gates:
        match = "" if planned.everywhere else random.Random(f"{part}/{number}").choice(names)
        injection = Injection(planned.kind, part, match) if part else None
        what = f"{100 * part:g} % in {match or 'every case'}" if part else "same code"
        click.echo(f"gate {len(trials) + 1} of {len(gates)}: {what}", err=True)
        watcher = Narrator(lambda line: click.echo(f"  {line}", err=True))
        trials.append(hold(request, rules, injection, watcher, directory=out and out / str(len(trials) + 1)))
    here = combine(machine(), describe_torch())
    noise = {name: round_noise(rows) for name, rows in by_case(trials).items()}
    resolution.store(here, Resolution(len(trials), noise))
    return here, trials


def tell(trials: Sequence[TrialGate], rules: Rules, form: Format) -> int:
    """Print what came of it. 0 when nothing false was red and nothing that was put in was called ok, else 1."""
    if not any(trial.cases for trial in trials):
        raise NothingMeasuredError("no gate measured a case")
    cases, words = _cases(trials, rules), _in_words(trials)
    code = int(any(trial.false_reds or trial.is_missed for trial in trials))
    if form == "json":
        click.echo(pretty_json({"exit_code": code, "words": words, "cases": cases.as_dicts(), "trials": trials}))
    elif form == "csv":
        click.echo(cases.csv())
    else:
        blocks: list[Block] = [cases, "\n".join(words)]
        click.echo(render(blocks, form))
    sys.stdout.flush()
    return code


def _in_words(trials: Sequence[TrialGate]) -> list[str]:
    words = []
    for effect in dict.fromkeys(map(_effect, trials)):
        some = [trial for trial in trials if _effect(trial) == effect]
        if some[0].put_in:
            words.append(f"{effect}: found {share(some, lambda trial: trial.is_found)}")
            words.append(f"{effect}: called ok {share(some, lambda trial: trial.is_missed)}")
        words.append(f"{effect}: gates with a false red {share(some, lambda trial: bool(trial.false_reds))}")
        words.append(f"{effect}: gates that a sentinel made invalid {share(some, lambda trial: bool(trial.invalid))}")
    return words


def _effect(trial: TrialGate) -> str:
    put_in = trial.put_in
    if put_in is None:
        return "same code"
    return f"{100 * put_in.share:+g} % by {put_in.kind} in {'one case' if put_in.match else 'every case'}"


def _cases(trials: Sequence[TrialGate], rules: Rules) -> Table:
    """A row a case: how long a call takes, how noisy a round is, and what that makes of the gate."""
    shown = (rules.looks[len(rules.looks) // 2], rules.looks[-1])
    columns = (
        Column("case"),
        Column("latency", "right"),
        Column("noise of a round", "right"),
        *(Column(f"found after {rounds}", "right") for rounds in shown),
        Column("ok", "right"),
        Column("inconclusive", "right"),
    )
    rows = []
    grouped = by_case(trials)
    for name, found in grouped.items():
        noise = round_noise(found)
        words = [row.word for row in found]
        effects = [
            f"{100 * detectable(noise, rules.margin, rules.red_level / len(grouped), look):.1f} %" for look in shown
        ]
        row: list[Cell] = [name.split("/", 1)[1], amount(found[0].seconds, "s"), f"{100 * noise:.2f} %", *effects]
        rows.append([*row, words.count("ok"), words.count("inconclusive")])
    return Table("the slowdown that is found in nine of ten gates, by rounds", columns, rows)
