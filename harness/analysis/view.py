"""A run as it is shown: its results, and the baselines that speed-ups refer to."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from harness.analysis import convergence
from harness.analysis.naming import titles
from harness.analysis.pairs import counterparts, speedups
from harness.analysis.results import Result, contests, of_run
from harness.estimators.intervals import Comparison
from harness.model import Case, StoredRun, known_metrics
from harness.model.metrics import METRICS, Metric

USUAL = (
    *("latency", "first_call", "weight_bytes", "bits_per_weight", "resident_bytes", "peak_forward_bytes"),
    *("peak_backward_bytes", "error_sqnr", "agreement_sqnr", "weight_gradient_cosine", "input_gradient_cosine"),
)
"""Those of the project's metrics that are shown unless others are asked for. What a suite brings itself is shown."""


@dataclass(frozen=True, repr=False)
class View:
    """What is shown of a run: results, the chosen metrics that were measured, latencies over baselines, precision."""

    stored: StoredRun
    results: Sequence[Result]
    metrics: Sequence[Metric]
    baselines: Sequence[str]
    ratios: dict[tuple[str, str], Comparison]
    reached: Mapping[Case, convergence.Convergence]

    @classmethod
    def of(cls, stored: StoredRun, metrics: Collection[str] = (), baselines: Sequence[str] = ()) -> "View":
        """Limited to `metrics`; none means the usual ones, or whatever there is when none of them was measured.

        No `baselines` means the run's own, in the order in which they were measured.
        """
        gathered = list(of_run(stored).values())
        baselines = baselines or baselines_of(gathered)
        measured = {metric.name for result in gathered for metric in result.metrics}
        wanted = set(metrics) or {name for name in measured if name in USUAL or name not in METRICS} or measured
        chosen = [one for name, one in known_metrics(stored.run).items() if name in wanted & measured]
        is_timed = any(metric.name == "latency" for metric in chosen)
        ratios = speedups(gathered, baselines) if is_timed else {}
        reached: dict[Case, convergence.Convergence] = {}
        for members in contests(gathered).values() if is_timed else ():
            reached |= convergence.convergence(members)
        return cls(stored, gathered, chosen, baselines, ratios, reached)

    @classmethod
    def whole(cls, stored: StoredRun) -> "View":
        """With all that was measured."""
        return cls.of(stored, known_metrics(stored.run))

    @cached_property
    def titles(self) -> dict[str, str]:
        """The contests in words, by name."""
        return titles(self.results)

    @cached_property
    def counterparts(self) -> dict[str, Result]:
        """The cases of the same run that results are compared with, by the name of the result."""
        return counterparts(self.results)

    @property
    def is_timed(self) -> bool:
        """Whether latencies are shown."""
        return any(metric.name == "latency" for metric in self.metrics)

    def __repr__(self) -> str:
        return f"<View of run {self.stored.run.id}: {len(self.results)} cases>"


def baselines_of(everything: Iterable[Result]) -> list[str]:
    """Names of the implementations that the others are compared with, in the order in which they were measured."""
    return list(dict.fromkeys(result.case.implementation for result in everything if result.is_baseline))
