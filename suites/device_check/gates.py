"""The section on the gate: whether it is quiet about the same code, and finds what was made slower."""

import math
import statistics
from collections.abc import Sequence
from pathlib import Path

import msgspec

from harness.gate.trials import TrialGate, TrialRow
from harness.model import Case
from harness.model.units import percent_change
from harness.show.table import Cell, Column, Table
from suites.device_check.section import Section


class Printed(msgspec.Struct, frozen=True):
    """As much of what `bitbench selftest gate` prints as is read."""

    trials: tuple[TrialGate, ...]


def section(out: Path, names: Sequence[str]) -> Section:
    """Of the gates with these names, one trial each."""
    rows: list[tuple[Cell, ...]] = []
    wrong: list[str] = []
    missing: list[str] = []
    for name in names:
        trial = _trial(out / f"{name}.json")
        if trial is None:
            missing.append(f"{name}: there is no verdict")
            continue
        word, is_wrong = _verdict(trial)
        if word:
            (wrong if is_wrong else missing).append(f"{name}: {word}")
        what = f"+{100 * trial.put_in.share:g} % work" if trial.put_in else "the same code"
        for case, row in trial.cases.items():
            slowed = "slowed down" if trial.put_in and trial.put_in.match == case else "as it was"
            rows.append((what, _short(case), slowed, _change(row), row.word, trial.rounds, f"{trial.seconds:.0f} s"))
    columns = (
        *(Column(heading) for heading in ("gate", "case", "head is", "measured", "verdict")),
        *(Column(heading, "right") for heading in ("rounds", "wall time")),
    )
    return Section("Gates", [Table("", columns, rows)] if rows else [], wrong, missing, bool(rows))


def _trial(file: Path) -> TrialGate | None:
    """The gate that was held; None where it came to no verdict, and its file is empty or cut off."""
    try:
        (trial,) = msgspec.json.decode(file.read_bytes(), type=Printed).trials
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return trial


def _verdict(trial: TrialGate) -> tuple[str, bool]:
    """What is not as it should be, and whether that is wrong or only not shown; nothing where all is well."""
    if trial.false_reds:
        return f"red, and nothing had been slowed down: {', '.join(map(_short, trial.false_reds))}", True
    if not trial.put_in and trial.code == 1:
        return "red, because a number that should be exact differs: `bitbench gate` of its two runs shows which", True
    if trial.is_missed:
        return "the slowdown was called ok", True
    if trial.invalid:
        return f"a sentinel moved: {_short(trial.invalid)}", False
    if trial.put_in and not trial.is_found:
        return "the slowdown was not found in the time", False
    if not any(row.word in ("ok", "improved", "regressed") for row in trial.cases.values()):
        return "nothing was decided in the time", False
    return "", False


def _short(name: str) -> str:
    """`triton M=2048 N=4096 K=4096`"""
    case = Case.parse(name)
    sizes = (f"{size.upper()}={case.params[size]}" for size in "mnk" if size in case.params)
    return " ".join((case.implementation, *sizes))


def _change(row: TrialRow) -> str:
    return percent_change(math.expm1(statistics.fmean(row.log_ratios))) if row.log_ratios else ""
