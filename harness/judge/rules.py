"""What a gate tolerates and how sure it must be: the defaults, `gate.toml`, and what the command line says."""

import math
import re
import tomllib
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import UsageError
from harness.estimators.looks import LOOKS, looks
from harness.model import Case, filters
from harness.model.metrics import METRICS, Exact, Metric
from harness.model.units import parse_share

FILE = Path("gate.toml")
"""Read where the gate is run, if it is there and no other is named."""
_FLOOR = re.compile(r"(\d+(?:\.\d+)?)\s*(ns|us|ms|s)")


class Allowance(msgspec.Struct, frozen=True):
    """Another margin for the latency of some cases, with the reason that a reviewer read."""

    match: str
    """An expression as of `bitbench run -k`."""
    margin: float
    reason: str

    def is_for(self, name: str) -> bool:
        """Whether it is for the case of that name."""
        return filters.parse(self.match)(name)


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """Shares are of 1: 0.03 is 3 %."""

    margin: float = 0.03
    """The slowdown of a case that is tolerated."""
    geometric_mean: float = 0.01
    """The slowdown of the geometric mean of all cases that is tolerated."""
    floor: float = 1e-6
    """Seconds that a call may take longer, however short it is: below, a margin would be lost in the clock."""
    false_red: float = 0.05
    """At most this share of gates calls any case slower that is just within its margin, before confirmation."""
    false_ok: float = 0.05
    """At most this share of the cases that are just beyond their margin is called ok."""
    unconfirmed: float = 0.05
    """The level of the test that fresh rounds alone must pass before a case is red."""
    false_improved: float = 0.05
    """Expected share of false ones among the cases that are called improved."""
    looks: tuple[int, ...] = LOOKS
    """Numbers of rounds after which the rounds are looked at; the undecided go on until the last."""
    tolerances: dict[str, float] = {}
    """By exact metric: another absolute tolerance than its own, in place of all that it has."""
    allowances: tuple[Allowance, ...] = ()

    def limit_of(self, metric: Metric, case: Case, before: float) -> float:
        """The log ratio for the worse that is tolerated of what varies and was `before`, in the metric's unit."""
        if metric.relative_tolerance:
            return math.log1p(metric.relative_tolerance)
        return self.limit(case, before) if metric.unit == "s" else math.log1p(self.margin)

    def limit(self, case: Case, seconds: float) -> float:
        """The log ratio that is tolerated of a case whose call took `seconds` before."""
        margin = self.margin
        for allowance in self.allowances:
            if allowance.is_for(case.name):
                margin = allowance.margin
        return max(math.log1p(margin), math.log1p(self.floor / seconds) if seconds > 0 else 0.0)

    def reason(self, case: Case) -> str:
        """Why the case has a margin of its own; empty where it has none."""
        matching = (a.reason for a in reversed(self.allowances) if a.is_for(case.name))
        return next(matching, "")

    def idle(self, names: Collection[str]) -> list[str]:
        """In words: allowances that decide for none of the cases of these `names`."""
        told = []
        deciding = {max((n for n, a in enumerate(self.allowances) if a.is_for(name)), default=-1) for name in names}
        for number, allowance in enumerate(self.allowances):
            if number not in deciding:
                why = "later ones match all of them" if any(map(allowance.is_for, names)) else "it matches none of them"
                told.append(
                    f"the allowance {allowance.match!r} decides for no case of this gate, {why}:"
                    " correct its match, or take it out of the rules"
                )
        return told

    def metric(self, metric: Exact) -> Exact:
        """The metric with the tolerance that it has here."""
        if metric.name not in self.tolerances:
            return metric
        return msgspec.structs.replace(metric, tolerance=self.tolerances[metric.name], relative_tolerance=0.0)

    @property
    def red_level(self) -> float:
        """Of one look, for all cases together: the error budget is split evenly over the looks (Bonferroni)."""
        return self.false_red / len(self.looks)

    @property
    def ok_level(self) -> float:
        """Of one look, for each case."""
        return self.false_ok / len(self.looks)

    def in_words(self) -> tuple[str, ...]:
        """The rules, as a gate declares them before it measures."""
        planned, fresh = ", ".join(map(str, self.looks)), _percent(self.unconfirmed)
        return (
            f"one value a round, a fresh pair of processes: the log ratio of head to base; looks after {planned},"
            " and when the time is over",
            f"red: slower than {_percent(self.margin)} and {self.floor * 1e6:g} us by a t test, Holm over the cases,"
            f" {_percent(self.false_red)} split over the looks, and again at {fresh} by the rounds after that alone",
            f"ok: not slower than that, at {_percent(self.false_ok)} a case split over the looks; the last has what is"
            " left of it",
            f"geometric mean of all cases: the same, against {_percent(self.geometric_mean)}",
            *(f"{a.match}: {_percent(a.margin)}, because {a.reason}" for a in self.allowances),
        )


def read(path: Path | None, known: Mapping[str, Metric] = METRICS) -> Rules:
    """The rules in the file at `path`, in gate.toml here if there is one, or the defaults.

    Tolerances may be of the exact metrics among those `known`.
    Raises UsageError, in one line, for what is no such file.
    """
    if path is None and not FILE.exists():
        return Rules()
    where = path or FILE
    try:
        content = tomllib.loads(where.read_text())
    except OSError as error:
        raise UsageError(
            f"cannot read {where}: {error.strerror}; name a file of rules, or leave --rules out"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{where} is not TOML: {error}") from error
    try:
        return _rules(content, known)
    except ValueError as error:
        raise UsageError(f"{where}: {error}") from error


def _rules(content: Mapping[str, Any], metrics: Mapping[str, Metric]) -> Rules:
    """Raises ValueError that says which entry is wrong."""
    known: dict[str, Callable[[str, Any], object]] = {
        "margin": _share,
        "geometric-mean": _share,
        "floor": _seconds,
        "rounds": _looks,
        "tolerances": partial(_tolerances, metrics),
        "allowances": _allowances,
    }
    for key in content:
        if key not in known:
            raise ValueError(f"unknown entry {key!r}; it may have: {', '.join(known)}")
    parsed = {key.replace("-", "_"): known[key](key, value) for key, value in content.items()}
    if "rounds" in parsed:
        parsed["looks"] = parsed.pop("rounds")
    return Rules(**parsed)  # type: ignore[arg-type]  # each by the parser of its name


def _share(name: str, value: Any) -> float:
    try:
        return parse_share(str(value))
    except UsageError as error:
        raise ValueError(f"{name} = {value!r}: {error} (in quotation marks)") from None


def _seconds(name: str, value: Any) -> float:
    match = _FLOOR.fullmatch(str(value).strip())
    if match is None:
        raise ValueError(f'{name} = {value!r}; give a time with its unit, ns, us, ms or s, as "2us"; "0s" for no floor')
    return float(match[1]) * {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}[match[2]]


def _looks(name: str, value: Any) -> tuple[int, ...]:
    if type(value) is not int or not LOOKS[0] <= value <= 100:
        raise ValueError(f"{name} = {value!r}; give a whole number from {LOOKS[0]} to 100")
    return looks(value)


def _tolerances(known: Mapping[str, Metric], name: str, value: Any) -> dict[str, float]:
    exact = [metric.name for metric in known.values() if isinstance(metric, Exact) and not metric.informative]
    for metric, tolerance in _table(name, value).items():
        if metric not in exact:
            raise ValueError(f"{name}: {metric!r} is no exact metric; choose from: {', '.join(exact)}")
        if type(tolerance) not in (int, float) or not 0 <= tolerance < math.inf:
            raise ValueError(f"{name}: {metric} = {tolerance!r}; give a number in the metric's unit, 0 or more")
    return {metric: float(tolerance) for metric, tolerance in value.items()}


def _allowances(name: str, value: Any) -> tuple[Allowance, ...]:
    if not isinstance(value, list):
        raise ValueError(f"{name} are tables: write [[{name}]], then match, margin and reason")
    return tuple(_allowance(_table(name, entry)) for entry in value)


def _allowance(fields: Mapping[str, Any]) -> Allowance:
    if set(fields) != {"match", "margin", "reason"}:
        raise ValueError(f"an allowance has match, margin and reason, and not {', '.join(fields) or 'nothing'}")
    match, reason = (" ".join(str(fields[name]).split()) for name in ("match", "reason"))
    if not match or not reason:
        raise ValueError("an allowance says in match which cases it is for, and in reason why: neither may be empty")
    try:
        filters.parse(match)
    except UsageError as error:
        raise ValueError(f"an allowance's match is written as after -k: {error}") from error
    return Allowance(match, _share("margin of an allowance", fields["margin"]), reason)


def _table(name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{name} = {value!r} is no table of names and values")
    return value


def _percent(part: float) -> str:
    return f"{100 * part:g} %"
