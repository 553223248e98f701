"""What a gate can resolve on this machine, as `bitbench selftest gate` found out."""

import math
import statistics
from collections.abc import Collection

import msgspec

from harness.estimators.t_test import resolvable
from harness.machine import facts
from harness.model import Count, Environment
from harness.model.rules import Rules

KIND = "gate-noise"


class Resolution(msgspec.Struct, frozen=True):
    """The noise of a round by case name, and from how many gates it is known."""

    gates: Count
    noise: dict[str, float]


def load(environment: Environment) -> Resolution | None:
    """What is known of this machine, or None."""
    return facts.load(environment, KIND, Resolution)


def store(environment: Environment, resolution: Resolution) -> None:
    """Keep it for the gates to come."""
    facts.store(environment, KIND, resolution)


def doubt(resolution: Resolution | None, cases: Collection[str], rules: Rules) -> str:
    """A warning where the margin is less than what can be resolved of half of the cases; empty where all is well."""
    noise = [resolution.noise[name] for name in cases if name in resolution.noise] if resolution else []
    usable = [one for one in noise if math.isfinite(one)]
    if resolution is None or not usable:
        return ""
    least = resolvable(statistics.median(usable), rules.ok_level, rules.looks[-1])
    if least <= rules.margin:
        return ""
    return (
        f"the margin of {100 * rules.margin:g} % is less than this machine resolves: by {resolution.gates} gates of"
        f" `bitbench selftest gate`, half of the cases need {100 * least:.1f} % to be found ok when nothing changed;"
        " raise --margin, or quieten the machine"
    )
