"""The machines of a fleet: which of them are meant, and what is wrong with those that are not fit for it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from harness.errors import InvalidEnvironmentError, UsageError
from harness.model import Environment
from harness.model.environment import comparable, labels_in_words
from harness.model.units import choices
from harness.runner.fleet.on_machine import Survey
from harness.runner.fleet.same_code import Code, unlike

TAGS: Mapping[str, Callable[[Environment], str]] = {
    "cpu": lambda at: at.cpu_model,
    "isa": lambda at: " ".join(at.instruction_sets),
    "gpu": lambda at: at.gpu,
    "os": lambda at: at.operating_system,
    "cores": lambda at: str(at.cores_logical),
    "machine": lambda at: at.machine,
}
"""What of a machine --on may ask for, besides labels: a part of it is enough, in capitals or not."""
WHOLE = ("cores",)
"""Of which a part is not enough."""


@dataclass(frozen=True)
class Machine:
    """One that takes runs, at the address of its worker."""

    address: str
    environment: Environment

    @property
    def identity(self) -> str:
        """The same of the machine, whatever worker of it comes and goes."""
        return self.environment.machine

    @property
    def kind(self) -> tuple[str, ...]:
        """Equal of machines whose latencies may be compared."""
        return comparable(self.environment)

    @property
    def words(self) -> str:
        """Which machine this is, for people."""
        return in_words(self.environment)


def in_words(at: Environment) -> str:
    """A machine in a few words."""
    parts = (at.cpu_model, f"GPU {at.gpu}" if at.gpu not in ("none", "unknown") else "", labels_in_words(at))
    return f"{at.machine or 'unknown'} ({', '.join(filter(None, parts))})"


def parse_tags(texts: Iterable[str]) -> dict[str, str]:
    """What --on asks for, by name. Raises UsageError for what is not of the form name=value."""
    asked: dict[str, str] = {}
    for text in (part for one in texts for part in one.split(",")):
        name, _, value = (part.strip() for part in text.partition("="))
        if not name or not value:
            known = ", ".join(TAGS)
            raise UsageError(
                f"--on {text[:100]!r} is not of the form name=value, as in cpu=EPYC; names: {known}, labels"
            )
        if asked.setdefault(name, value) != value:
            raise UsageError(f"--on asks for two values of {name}, {asked[name]} and {value}: give one")
    return asked


def is_meant(at: Environment, on: Mapping[str, str]) -> bool:
    """Whether a machine has all that is asked for. A label hides the tag of its name."""
    return all(_has(at, name, value) for name, value in on.items())


def _has(at: Environment, name: str, value: str) -> bool:
    if name in at.labels:
        return at.labels[name] == value
    if name not in TAGS:
        return False
    there = TAGS[name](at).lower()
    return there == value.lower() if name in WHOLE else value.lower() in there


def require_known(on: Mapping[str, str], surveyed: Iterable[Environment]) -> None:
    """Raise UsageError for the name of a tag that no machine has."""
    known = {*TAGS, *(name for at in surveyed for name in at.labels)}
    for name in on:
        if name not in known:
            raise UsageError(f"--on {name}: no machine has such a label; {choices(name, sorted(known))}")


def unfit(survey: Survey, ours: Code) -> str:
    """Why a machine cannot be taken, with its cure; empty when it can."""
    at, start = survey.environment, "start it by `bitbench fleet worker`"
    if survey.refusal:
        return survey.refusal
    if why := unlike(ours, survey.code):
        return f"{why}: install the same everywhere"
    if survey.has_nanny:
        return f"its worker has a nanny, which changes the environment and takes time: {start}"
    if (survey.threads, survey.machines) != (1, 1.0):
        return f"its worker would take more than one run at once: {start}"
    if survey.loud:
        return f"its worker is not quiet ({', '.join(survey.loud)}): {start}"
    if not at.machine:
        return "it has no identity: set BITBENCH_MACHINE there to any text of its own"
    return ""


def require_apart(machines: Iterable[Machine]) -> None:
    """Raise InvalidEnvironmentError where two workers are of one machine: they would disturb each other."""
    seen: set[str] = set()
    for machine in machines:
        if machine.identity in seen:
            raise InvalidEnvironmentError(
                f"two workers are of machine {machine.words}: stop one; or, where machines share /etc/machine-id,"
                " set BITBENCH_MACHINE on each to a text of its own"
            )
        seen.add(machine.identity)
