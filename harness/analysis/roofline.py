"""How near a call comes to what the machine can do: bandwidth, throughput, and its share of the nearer ceiling.

The roofline model (Williams, Waterman and Patterson, 2009) with ceilings that were measured (`worker.ceilings`).
docs/numbers/ceilings.md says what counts as bytes and operations.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.analysis.results import Result
from harness.model import Ceilings, Params
from harness.model.ceilings import SEVERAL, matching
from harness.model.whole_model import WholeModel

ALLOWED = 1.05
"""A share above this is no measurement but a sign that the call does not do its work."""
DTYPES = ("float32", "bfloat16", "float16", "int8")
"""A contestant may multiply in any of them, so the fastest is the ceiling of all."""


@dataclass(frozen=True)
class Work:
    """What one call must do at least: operations, bytes read and written, of a working set of so many bytes."""

    operations: float
    bytes: float
    working_set: float

    @classmethod
    def of(cls, facts: Params, weight_bytes: float | None, ring_bytes: float | None = None) -> "Work | None":
        """From a case's facts and what it stores; None where the suite does not know the work or it was not measured.

        `ring_bytes` are those of all distinct weights, where calls go through several layers in turn.
        """
        if weight_bytes is None or "operations" not in facts or "activation_bytes" not in facts:
            return None
        activations = float(facts["activation_bytes"])
        moved = weight_bytes * float(facts.get("weight_passes", 1)) + activations
        return cls(float(facts["operations"]), moved, (ring_bytes or weight_bytes) + activations)


@dataclass(frozen=True)
class Standing:
    """Where a call stands: bytes and operations a second, operations a byte, and the share of the nearer ceiling."""

    bandwidth: float
    throughput: float
    intensity: float
    share: float = math.nan
    """NaN where no ceiling was measured."""
    ceiling: str = ""
    """Which one: `memory`, `cache`, `core cache` or a dtype."""

    @classmethod
    def of(cls, work: Work, latency: float, ceilings: Ceilings) -> "Standing":
        """Of a call that takes `latency` seconds. The nearer ceiling is that which alone would take longer."""
        least = least_seconds(work, ceilings)
        nearer = max(least, key=lambda name: least[name], default="")
        share = least[nearer] / latency if nearer else math.nan
        intensity = work.operations / work.bytes if work.bytes else math.inf
        return cls(work.bytes / latency, work.operations / latency, intensity, share, nearer)


def standing(result: Result, everywhere: Sequence[Ceilings]) -> Standing | None:
    """Of a case over all its rounds; None where its latency, its work or the ceilings of its device are not known."""
    ceilings = matching(result.case, everywhere)
    if ceilings is None:
        return None
    latency, stored, ring = (_centre(result, name) for name in ("latency", "weight_bytes", "ring_bytes"))
    work = Work.of(result.facts, stored, ring)
    if work is None or latency is None or not latency > 0:
        return None
    return Standing.of(work, latency, ceilings)


def _centre(result: Result, metric: str) -> float | None:
    summary = result.summary(metric)
    return summary.centre if summary else None


def too_fast(work: Work, latency: float, ceilings: Ceilings) -> str:
    """Why a call cannot have taken `latency` seconds on this machine, or nothing.

    Before it fails a row for this, the caller measures ceilings and call in turns: neighbours may have lowered them.
    """
    least = least_seconds(work, ceilings)
    claims = [_claim(name, work, latency, seconds) for name, seconds in least.items() if seconds > ALLOWED * latency]
    if not claims:
        return ""
    cure = "check that every call reads all its weights and computes its whole output"
    return f"faster than the machine allows: {', and '.join(claims)}; {cure}"


def _claim(name: str, work: Work, latency: float, least: float) -> str:
    done, unit, amount = ("computes", "GFLOP/s", work.operations) if name in DTYPES else ("reads", "GB/s", work.bytes)
    return f"{done} {amount / latency / 1e9:.3g} {unit} where {amount / least / 1e9:.3g} {unit} were measured"


def least_seconds(work: Work, ceilings: Ceilings) -> dict[str, float]:
    """The time that each kind of work takes at least, by the name of its ceiling."""
    rates: dict[str, float] = {name: getattr(ceilings, name) for name in DTYPES}
    fastest = max(DTYPES, key=lambda name: rates[name])
    return _reading(work, ceilings) | ({fastest: work.operations / rates[fastest]} if rates[fastest] else {})


def most_tokens(model: WholeModel, scheme: str, ceilings: Ceilings) -> float:
    """Tokens a second if every product took the least time that `ceilings` allow, and all else took none.

    For one sequence: every token reads all weights that it uses. 0 where no ceiling is known, or there is no product.
    """
    read, working_set = model.bytes_read(scheme)
    slowest = max(least_seconds(Work(model.operations, read, working_set), ceilings).values(), default=0.0)
    return 1 / slowest if slowest else 0.0


def _reading(work: Work, ceilings: Ceilings) -> dict[str, float]:
    """The time that the bytes take when every cache keeps as much of the working set as it can hold, memory the rest.

    Named after the furthest that is needed. Not judged where the size or the speed of a cache is not known.
    """
    known = ceilings.cache_bytes and ceilings.cache_bandwidth and ceilings.memory_bandwidth
    if not known or not work.bytes:
        return {}
    levels = (
        ("core cache", ceilings.core_cache_bytes, ceilings.core_cache_bandwidth),
        ("cache", ceilings.cache_bytes, ceilings.cache_bandwidth),
        ("memory", math.inf, ceilings.memory_bandwidth),
    )
    left, seconds, furthest = 1.0, 0.0, ""
    for name, size, bandwidth in levels:
        keeps = bandwidth and work.working_set < SEVERAL * size
        held = min(left, size / work.working_set) if keeps else 0.0
        left -= held
        if held:
            seconds, furthest = seconds + held * work.bytes / bandwidth, name
    return {furthest: seconds}
