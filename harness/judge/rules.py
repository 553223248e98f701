"""Reading what a gate tolerates and how sure it must be: the defaults, and `gate.toml`."""

import math
import re
import tomllib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.estimators.looks import LOOKS, looks
from harness.model import Allowance, Rules, filters
from harness.model.metrics import METRICS, Exact, Metric, Paired
from harness.model.units import parse_share

__all__ = ("Allowance", "Rules", "read", "sentences_of_schema_4")

FILE = Path("gate.toml")
"""Read where the gate is run, if it is there and no other is named."""
_FLOOR = re.compile(r"(\d+(?:\.\d+)?)\s*(ns|us|ms|s)")


def read(path: Path | None, known: Mapping[str, Metric] = METRICS) -> Rules:
    """The rules in the file at `path`, in gate.toml here if there is one, or the defaults.

    Tolerances may be of the exact and the paired metrics among those `known`.
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
    tolerant = [one.name for one in known.values() if isinstance(one, Exact | Paired) and not one.informative]
    for metric, tolerance in _table(name, value).items():
        if metric not in tolerant:
            raise ValueError(f"{name}: {metric!r} is no exact or paired metric; choose from: {', '.join(tolerant)}")
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


def sentences_of_schema_4(rules: Rules) -> tuple[str, ...]:
    """How runs that were stored before schema 5 declared these rules of a gate: they kept no numbers.

    Not to be reworded: it is compared with what stands in old files.
    """
    margin, mean, false_red, fresh = (
        f"{100 * part:g} %" for part in (rules.margin, rules.geometric_mean, rules.false_red, rules.unconfirmed)
    )
    return (
        "one value a round, a fresh pair of processes: the log ratio of head to base; looks after"
        f" {', '.join(map(str, rules.looks))}, and when the time is over",
        f"red: slower than {margin} and {rules.floor * 1e6:g} us by a t test, Holm over the cases, {false_red} split"
        f" over the looks, and again at {fresh} by the rounds after that alone",
        f"ok: not slower than that, at {100 * rules.false_ok:g} % a case split over the looks; the last has what is"
        " left of it",
        f"geometric mean of all cases: the same, against {mean}",
        *(f"{one.match}: {100 * one.margin:g} %, because {one.reason}" for one in rules.allowances),
        "a block is voided for all contestants when the canary before or after it took more than 2 times the median of"
        " the round's canaries, or when the machine was suspended; if that were more than 50 % of the blocks, none is",
    )
