"""The head of a page about a run: what was measured, when, on which machine, and by which rules."""

from collections.abc import Iterator, Mapping

from harness.model import Aim, Run, RunRules, StoredRun
from harness.model.environment import labels_in_words, machine_name
from harness.model.stored_run import Extension


def describe_run(run: Run) -> str:
    """Which run of which code this is, in one line."""
    revision = run.revision
    code = f"commit {revision.commit[:7]}{' with changes' * revision.dirty}" if revision.commit else "commit unknown"
    return f"run {run.id}, started {run.started}, {code}{_origin(run)}"


def _origin(run: Run) -> str:
    """`, imported from pyperf 2.10.0 (bench.json)`; empty for a run of our own."""
    if run.origin is None:
        return ""
    tool = f"{run.origin.tool} {run.origin.version}".strip()
    return f", imported from {tool} ({', '.join(run.origin.files)})"


def describe_machine(run: Run) -> str:
    """The machine in one line, without what is not known of it: which one of its kind, and how busy it was.

    Other tools do not tell the latter.
    """
    at = run.environment
    load = "" if run.origin else f"load {at.load_average:.2f}"
    which = [labels_in_words(at), f"machine {at.machine}" * bool(at.machine)]
    return "; ".join(filter(None, (machine_name(at) or "machine unknown", *which, load)))


def describe_rules(stored: StoredRun) -> list[str]:
    """What the run declared before it measured, a rule a line; then what it declared when it was extended."""
    begun = stored.begun or stored.run
    rules = begun.rules
    lines = [*rules.words, *(rules.gate.in_words() if rules.gate else _aims(begun.aims, rules))]
    lines += [_voiding(rules)] if rules.disturbed else []
    return [*lines, *(f"from {one.extended} on: {rule}" for one, added in _extensions(stored) for rule in added)]


def describe_extensions(stored: StoredRun) -> list[str]:
    """When the run was extended and by what, a line each."""
    otherwise = "gone on with by other code or another budget"
    return [f"extended {one.extended}: {'; '.join(added) or otherwise}" for one, added in _extensions(stored)]


def _extensions(stored: StoredRun) -> Iterator[tuple[Extension, list[str]]]:
    """Each with the rules that it added, in words."""
    begun = stored.begun or stored.run
    aims = begun.aims
    for one in stored.extensions:
        yield one, [*one.words] or (_aims(one.aims, begun.rules) if one.aims != aims else [])
        aims = one.aims


def _aims(aims: Mapping[str, Aim], rules: RunRules) -> list[str]:
    """When contests end, suite by suite; nothing where the run did not declare it in numbers."""
    return [_aim(suite, aim, rules) for suite, aim in aims.items()] if rules.looks else []


def _aim(suite: str, aim: Aim, rules: RunRules) -> str:
    if not aim.precision:
        return f"{suite}: {aim.rounds} round{'s' * (aim.rounds > 1)}"
    planned = ", ".join(map(str, (*(look for look in rules.looks if look < aim.rounds), aim.rounds)))
    return (
        f"{suite}: a contestant is done at the look (after {planned} rounds) at which the {100 * rules.confidence:g} %"
        f" interval of its latency over {aim.baseline or 'the first contestant'} is at most {100 * aim.precision:g} %"
        " wide to either side"
    )


def _voiding(rules: RunRules) -> str:
    return (
        f"a block is voided for all contestants when the canary before or after it took more than {rules.disturbed:g}"
        " times the median of the round's canaries, or when the machine was suspended; if that were more than"
        f" {100 * rules.most_voided:g} % of the blocks, none is"
    )
