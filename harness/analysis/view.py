"""A run as it is shown: its results, and the baselines that speed-ups refer to."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.analysis import convergence
from harness.analysis.intervals import Comparison
from harness.analysis.pairs import speedups
from harness.analysis.results import Result, contests, results
from harness.model import Case, StoredRun
from harness.model.metrics import METRICS, Metric

USUAL = (
    *("latency", "first_call", "weight_bytes", "bits_per_weight", "resident_bytes", "peak_forward_bytes"),
    *("peak_backward_bytes", "error_sqnr", "agreement_sqnr", "weight_gradient_cosine", "input_gradient_cosine"),
)
"""Names of the metrics that are shown unless others are asked for."""


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
        gathered = list(results(stored.records, stored.run.aims).values())
        baselines = baselines or baselines_of(gathered)
        measured = {metric.name for result in gathered for metric in result.metrics}
        wanted = set(metrics) or measured & set(USUAL) or measured
        chosen = [metric for metric in METRICS.values() if metric.name in wanted & measured]
        ratios = speedups(gathered, baselines) if METRICS["latency"] in chosen else {}
        reached: dict[Case, convergence.Convergence] = {}
        for members in contests(gathered).values() if METRICS["latency"] in chosen else ():
            reached |= convergence.convergence(members)
        return cls(stored, gathered, chosen, baselines, ratios, reached)

    def __repr__(self) -> str:
        return f"<View of run {self.stored.run.id}: {len(self.results)} cases>"


def baselines_of(everything: Iterable[Result]) -> list[str]:
    """Names of the implementations that the others are compared with, in the order in which they were measured."""
    return list(dict.fromkeys(result.case.implementation for result in everything if result.is_baseline))
