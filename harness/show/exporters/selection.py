"""What of a run is exported: cases that were measured to their end, and nothing else."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.analysis.results import Result, of_run
from harness.estimators.intervals import Summary
from harness.model import Metric, Run, StoredRun


@dataclass(frozen=True)
class Selection:
    """Results that may be exported, and in a sentence each those that may not."""

    run: Run
    results: Sequence[Result]
    metrics: Collection[str]
    """Names of those that are asked for."""
    left_out: Sequence[str]

    @classmethod
    def of(cls, stored: StoredRun, metrics: Collection[str]) -> "Selection":
        """Limited to `metrics`."""
        results = list(of_run(stored).values())
        measured = [one for one in results if one.end is None and any(m.name in metrics for m in one.metrics)]
        return cls(stored.run, measured, metrics, [_why(one) for one in results if one not in measured])

    def values(self) -> Iterator[tuple[Result, Metric, Summary]]:
        """Every result with every metric that it has, and what sums it up."""
        for result in self.results:
            for metric in result.metrics:
                summary = result.summary(metric.name)
                if metric.name in self.metrics and summary is not None:
                    yield result, metric, summary


@dataclass(frozen=True)
class Written:
    """What a writer makes of a selection."""

    documents: Mapping[str, str]
    """Texts by what is added to the name of the file, as in `-smaller`."""
    left_out: Sequence[str] = ()
    """Why something of the selection is not in them, a sentence each."""


def _why(result: Result) -> str:
    end = result.end
    if end is None:
        return f"{result.name}: it has none of these metrics"
    return f"{result.name}: {end.outcome.replace('_', ' ')} in round {end.round + 1} ({end.reason})"
