"""What torch.compile did while something ran: graphs compiled, and places where a graph was broken."""

import sys
from dataclasses import dataclass, field


@dataclass
class Compilation:
    """Counts since it was made. Torch's compiler is not imported for it: what never compiled has compiled nothing."""

    _before: tuple[int, dict[str, int]] = field(default_factory=lambda: _so_far())

    @property
    def graphs(self) -> int:
        """Graphs compiled since."""
        return _so_far()[0] - self._before[0]

    @property
    def breaks(self) -> dict[str, int]:
        """How often a graph was broken since, by what torch gives as the reason."""
        before = self._before[1]
        since = {reason: times - before.get(reason, 0) for reason, times in _so_far()[1].items()}
        return {reason: times for reason, times in since.items() if times}

    def values(self) -> dict[str, float]:
        """The metrics `graphs` and `graph_breaks`, if anything was compiled or tried to be."""
        graphs, breaks = self.graphs, sum(self.breaks.values())
        return {"graphs": graphs, "graph_breaks": breaks} if graphs or breaks else {}

    def first_doubts(self) -> tuple[str, ...]:
        """Warnings about a first call, each with its cure: for one shape of input there should be one graph."""
        found = []
        if breaks := self.breaks:
            reason = " ".join(next(iter(breaks)).split())
            times = sum(breaks.values())
            found.append(f"its graph is broken {times}x ({reason[:100]}); compile it with fullgraph=True to see where")
        if self.graphs > 1:
            found.append(f"its first call compiled {self.graphs} graphs; for one shape one is enough")
        return tuple(found)

    def later_doubts(self) -> tuple[str, ...]:
        """Warnings about a call that is not the first: it should have compiled nothing."""
        if not self.graphs:
            return ()
        return (
            "it was compiled again after its first call, for the same shape; see why with TORCH_LOGS=recompiles,"
            " and leave alone what its guards look at",
        )


def _so_far() -> tuple[int, dict[str, int]]:
    """Graphs compiled in this process, and graph breaks by reason."""
    dynamo = sys.modules.get("torch._dynamo.utils")
    if dynamo is None:
        return 0, {}
    counters = dynamo.counters
    return counters["stats"]["unique_graphs"], dict(counters["graph_break"])
