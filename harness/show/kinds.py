"""What runs of many machines say, a sentence a kind: who is the fastest there. No ratio between two machines is made.

Machines whose latencies may be compared are of one kind. Within a kind every machine has its own say, because rounds of
two machines are no rounds of one.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from harness.analysis.ranking import fastest
from harness.analysis.results import contests
from harness.analysis.view import View
from harness.model import StoredRun
from harness.model.environment import comparable, machine_name


def sentences(runs: Iterable[StoredRun]) -> list[str]:
    """First whether the answer depends on the kind, then a sentence a kind. Empty where nothing was timed."""
    kinds: dict[tuple[str, ...], list[StoredRun]] = {}
    for run in runs:
        kinds.setdefault(comparable(run.run.environment), []).append(run)
    wins = {kind: _wins(members) for kind, members in kinds.items()}
    leaders = {kind: won.most_common(1)[0][0] for kind, won in wins.items() if won}
    lines = [_sentence(kinds[kind], wins[kind]) for kind in leaders]
    if len(set(leaders.values())) > 1:
        parts = (f"{leader} on {_cpu(kinds[kind])}" for kind, leader in leaders.items())
        lines.insert(0, f"the answer depends on the kind of machine: {', '.join(parts)}")
    return lines


def _wins(members: Sequence[StoredRun]) -> Counter[str]:
    """How many contests each implementation won, over all machines of a kind. Without a known winner nobody has."""
    groups = (group for run in members for group in contests(View.of(run).results).values())
    return Counter(first[0].case.implementation for group in groups if (first := fastest(group)))


def _sentence(members: Sequence[StoredRun], won: Counter[str]) -> str:
    machines = len({run.run.environment.machine or run.run.id for run in members})
    of = sum(won.values())
    told = ", ".join(f"{name} in {times}" for name, times in won.most_common(3))
    where = f"{machines} machine{'s' * (machines > 1)}"
    return f"{machine_name(members[0].run.environment)} ({where}): the fastest of {of} contests is {told}"


def _cpu(members: Sequence[StoredRun]) -> str:
    at = members[0].run.environment
    return f"{at.cpu_model} with {at.gpu}" if at.gpu not in ("none", "unknown") else at.cpu_model
