"""A record in the making: what is known of one case in one round, until it is measured or comes to another end."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from harness.analysis.roofline import Work, too_fast
from harness.analysis.voided import voided
from harness.model import Case, Ceilings, Measurement, Outcome, Record
from harness.model.messages import Answer
from harness.runner.plan import Contest
from harness.runner.schedule import Timing
from harness.runner.worker_link import CaseEndedError


@dataclass
class RoundNoise:
    """What the machine did during one contest's round, block by block."""

    canary: list[float] = field(default_factory=list)
    """Seconds that the canary took before the first block and after each."""
    noise: dict[str, list[float]] = field(default_factory=dict)
    """By name: one value a block."""

    def take_in(self, noise: Mapping[str, float]) -> None:
        """Keep what one look says; the first one, before any block, only tells how the canary is."""
        first = not self.canary
        for name, value in noise.items():
            if name == "canary":
                self.canary.append(value)
            elif not first:
                self.noise.setdefault(name, []).append(value)

    @property
    def voided(self) -> tuple[int, ...]:
        """The blocks that count for nobody."""
        return voided(self.canary, self.noise.get("suspended", ()))

    def told(self) -> dict[str, tuple[float, ...]]:
        """What happened, by name; what never happened is left out."""
        names = {"canary": self.canary, **self.noise}
        return {name: tuple(values) for name, values in names.items() if any(values)}


@dataclass
class RecordBuilder:
    """What is known so far."""

    contest: Contest
    case: Case
    round: int
    started: float
    values: dict[str, list[float]] = field(default_factory=dict)
    """By metric; never of `latency`."""
    timing: Timing | None = None
    """The latency, once it is measured."""
    warnings: dict[str, None] = field(default_factory=dict)
    timed: float = 0.0

    def take_in(self, answer: Answer) -> None:
        """Keep what an answer says but its latencies: those that count come as `timing`."""
        for metric, values in answer.values.items():
            if metric != "latency":
                self.values.setdefault(metric, []).extend(values)
        self.warnings.update(dict.fromkeys(answer.warnings))

    @property
    def wanted(self) -> frozenset[str]:
        """What is measured of the case in this round."""
        return frozenset(name for name, metric in self.contest.metrics.items() if self.round == 0 or metric.repeats)

    def too_fast(self, ceilings: Ceilings, latencies: Sequence[float]) -> str:
        """Why the median of `latencies` cannot be true on a machine with these ceilings, or nothing."""
        stored = next(iter(self.values.get("weight_bytes", ())), 0.0)  # unknown: no fewer than none
        ring = next(iter(self.values.get("ring_bytes", ())), None)
        work = Work.of(self.contest.facts, stored, ring)
        return too_fast(work, statistics.median(latencies), ceilings) if work and latencies else ""

    def measured(self, witness: RoundNoise, now: float) -> Record:
        """The record of a case that came to its end."""
        measurements = [Measurement(name, tuple(some)) for name, some in self.values.items() if name in self.wanted]
        if self.timing is not None:
            taken = self.timing
            measurements.append(Measurement("latency", taken.values, taken.iterations, taken.blocks))
        measurements.sort(key=lambda measurement: measurement.metric)
        return self._record("measured", "", tuple(measurements), witness, now)

    def ended(self, end: CaseEndedError, now: float) -> Record:
        """A wrong answer keeps what shows that it is wrong; nothing else of the case is kept, and no latency ever."""
        evidence = tuple(
            Measurement(metric, values) for metric, values in sorted(end.evidence.values.items()) if metric != "latency"
        )
        record = self._record(end.outcome, end.reason, evidence, RoundNoise(), now)
        return msgspec.structs.replace(record, trace=end.evidence.trace)

    def _record(
        self, outcome: Outcome, reason: str, measurements: tuple[Measurement, ...], witness: RoundNoise, now: float
    ) -> Record:
        return Record(
            self.case,
            self.round,
            outcome,
            reason,
            measurements,
            self.contest.facts_of(self.case),
            witness.told(),
            witness.voided,
            now - self.started,
            self.timed,
            tuple(self.warnings),
        )
