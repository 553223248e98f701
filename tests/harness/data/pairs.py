"""Synthetic gates: two runs whose sides took turns, with the ratio of head to base by implementation and round."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from harness.analysis.convergence import declared
from harness.analysis.pairs import MetricPair, match
from harness.analysis.results import results
from harness.model import Record
from harness.model.metrics import METRICS
from harness.model.rules import Rules
from tests.harness.data.factories import make_case, make_record, make_run, write_run

SECONDS = 1e-3
WAVE = (0.004, -0.006, 0.002, 0.005, -0.005, 0.001, -0.003, 0.006, -0.004)
"""Noise, repeated over the rounds."""


def steady(ratio: float, rounds: int, noise: float = 1.0) -> list[float]:
    """Ratios that waver about `ratio`."""
    return [ratio * (1 + noise * WAVE[number % len(WAVE)]) for number in range(rounds)]


def write_gate(
    directory: Path, ratios: Mapping[str, Sequence[float]], sentinel: Sequence[float] = (), *, head_bytes: float = 640
) -> Path:
    """Write `base` and `head`: one case an implementation, and one of `linear-fp32` where a `sentinel` is given."""
    both = {**ratios, **({"linear-fp32": sentinel} if sentinel else {})}
    for side in ("base", "head"):
        records = [
            _record(name, turn, ratio if side == "head" else 1.0, head_bytes if side == "head" else 640)
            for name, values in both.items()
            for turn, ratio in enumerate(values)
        ]
        run = msgspec.structs.replace(
            make_run(run_id=f"made-up-{side}"), pair="made-up", side=side, rules=declared(Rules())
        )
        write_run(directory / side, run, records)
    return directory


def pair_of(base: Sequence[Record], head: Sequence[Record]) -> MetricPair:
    (pair,) = match(results(base), results(head), METRICS)
    return pair


def _record(name: str, turn: int, ratio: float, stored: float) -> Record:
    values: dict[str, float | Sequence[float]] = {"latency": [SECONDS * ratio] * 4}
    if turn == 0:
        values |= {"weight_bytes": stored, "error_sqnr": 8.0}
    return make_record(make_case(name), turn, values)
