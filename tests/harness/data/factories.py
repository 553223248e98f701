"""Builders of synthetic runs: plausible in shape, deterministic, and no measurement of anything.

Tests of the analysis half (store, stats, compare, gate, show, frames, plots, report) share them.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.model import ROLE, Aim, Case, Environment, Measurement, Record, Request, Revision, Run, Value
from harness.model.codec import encode
from harness.model.metrics import METRICS

BASELINES = ("linear-fp32", "linear-bf16")
IMPLEMENTATIONS = ("linear-fp32", "linear-bf16", "eager", "compiled", "int8")
SHAPES = ((2560, 2560), (6912, 2560))
"""(n, k)"""
ONE_SHAPE: dict[str, Any] = {"shapes": ((2560, 2560),), "tokens": (1,), "samples": 3}
"""Arguments of `make_records` for a small run: a contest."""

_POINT: dict[str, Value] = {
    "device": "cpu",
    "dtype": "float32",
    "k": 2560,
    "m": 1,
    "n": 2560,
    "scheme": "w1.58a8",
    "threads": 2,
}
_SPEED = {"linear-fp32": 1.0, "linear-bf16": 1.3, "eager": 0.4, "compiled": 0.8, "int8": 2.5}
"""Made-up calls per unit of time, relative to linear-fp32."""
_BITS = {"linear-fp32": 32.0, "linear-bf16": 16.0, "eager": 32.0, "compiled": 32.0, "int8": 8.0}
_SCHEMES = {"w1.58a8": (1.58, 8, 8.0), "w4a8": (4, 8, 16.0)}
"""Weight bits, activation bits, made-up SQNR in dB."""


def make_environment(**changes: object) -> Environment:
    """A machine that does not exist; `changes` replace fields."""
    fields: dict[str, object] = {
        "cpu_model": "Example CPU 1000",
        "instruction_sets": ("avx2", "avx512_vnni"),
        "cores_physical": 2,
        "cores_logical": 2,
        "affinity": 2,
        "governor": "performance",
        "memory_bytes": 8 * 2**30,
        "operating_system": "Linux 6.1 x86_64",
        "python": "3.11.9",
        "torch": "2.13.0+cpu",
        "blas": "mkl",
        "torch_threads": 2,
        "load_average": 0.25,
        **changes,
    }
    return Environment(**fields)  # type: ignore[arg-type]  # a test builder: the fields are checked by msgspec on reading


def make_run(
    suites: Sequence[str] = ("quick",),
    *,
    run_id: str = "20260102T030405Z-quick-abcdef0",
    environment: Environment | None = None,
    commit: str = "abcdef0123456789abcdef0123456789abcdef01",
    dirty: bool = False,
    rounds: int = 3,
    aims: Mapping[str, Aim] | None = None,
) -> Run:
    """A header."""
    return Run(
        id=run_id,
        started="2026-01-02T03:04:05Z",
        request=Request(suites=tuple(suites), rounds=rounds),
        order="interleaved within a contest, ABBA or BAAB at random",
        environment=environment or make_environment(),
        revision=Revision(commit, dirty),
        aims=dict(aims or {}),
        argv=("bitbench", "run", *suites),
    )


def make_case(implementation: str = "eager", suite: str = "quick", **params: Value) -> Case:
    """One case at the first point of `quick`; `params` replace or add axes."""
    return Case.of(suite, implementation, {**_POINT, **params})


def make_record(
    case: Case | None = None,
    round: int = 0,  # noqa: A002  (the model's own word for it)
    values: Mapping[str, float | Sequence[float]] | None = None,
    *,
    reason: str = "",
    outcome: str = "",
    facts: Mapping[str, Value] | None = None,
    warnings: Sequence[str] = (),
) -> Record:
    """A measured record with `values` by metric, or a skipped one (or `outcome`) when there is a `reason`."""
    measured = {metric: (v,) if isinstance(v, int | float) else tuple(v) for metric, v in (values or {}).items()}
    return Record(
        case=case or make_case(),
        round=round,
        outcome=outcome or ("skipped" if reason else "measured"),  # type: ignore[arg-type]  # str for brevity in tests
        reason=reason,
        measurements=tuple(
            Measurement(metric, tuple(map(float, v)), 10 if metric == "latency" else 1)
            for metric, v in measured.items()
        ),
        facts=role_of(case) | dict(facts or {}),
        noise={"page_faults": (2.0, 0.0)},
        duration=1.0,
        timed=0.6,
        warnings=tuple(warnings),
    )


def role_of(case: Case | None) -> dict[str, Value]:
    """The fact that marks a baseline."""
    return {ROLE: "baseline"} if case and case.implementation in BASELINES else {}


def make_records(
    *,
    implementations: Sequence[str] = IMPLEMENTATIONS,
    shapes: Sequence[tuple[int, int]] = SHAPES,
    tokens: Sequence[int] = (1, 128),
    schemes: Sequence[str] = ("w1.58a8",),
    rounds: int = 3,
    samples: int = 8,
    noise: float = 0.01,
    slowdown: Mapping[str, float] | None = None,
    troubles: bool = True,
    seed: int = 0,
) -> list[Record]:
    """A run of `quick` in the order in which it would be measured: round by round, contest by contest.

    `slowdown` multiplies the latency of an implementation. With `troubles`, `fp16` is skipped everywhere, `compiled`
    fails at the last shape, and `bf16` crashes in the last round. A case that ended so has no later records, and
    exact metrics are in the first round only, as in a real run.
    """
    rng = random.Random(seed)
    records: list[Record] = []
    for turn in range(rounds):
        for n, k in shapes:
            for m in tokens:
                for scheme in schemes:
                    point: dict[str, Value] = {"n": n, "k": k, "m": m, "scheme": scheme}
                    failing = {"compiled"} if troubles and (n, k) == shapes[-1] else set()
                    for name in (*implementations, "bf16") if troubles else implementations:
                        if name not in failing and not (name == "bf16" and turn == rounds - 1):
                            factor = (slowdown or {}).get(name, 1.0)
                            records.append(_measured(name, point, turn, factor, samples, noise, rng))
                    records += _troubles(point, turn, rounds, failing) if troubles else []
    return records


def make_error_records(
    *,
    weight_bits: Iterable[str] = ("w1", "w1.58", "w2", "w3", "w4", "w8"),
    activation_bits: Iterable[int] = (4, 8, 16),
    groups: Iterable[int] = (1, 4, 16),
    distributions: Iterable[str] = ("gaussian", "outlier"),
    off: float = 0.0,
) -> list[Record]:
    """A run of `error`: SQNR beside its prediction, `off` dB apart for the outlier distribution. One round."""
    records = []
    for distribution in distributions:
        for weight in weight_bits:
            for activation in activation_bits:
                for group in groups:
                    scheme = f"{weight}a{activation}" + (f"g{group}" if group > 1 else "")
                    bits = float(weight[1:])
                    predicted = 6.02 * bits - 2.0 - (1.0 if activation == 4 else 0.0) + 0.1 * group
                    measured = predicted - (off if distribution == "outlier" else 0.0)
                    case = Case.of(
                        "error",
                        "reference",
                        {"distribution": distribution, "k": 2560, "m": 128, "n": 640, "scheme": scheme},
                    )
                    facts: dict[str, Value] = {
                        "weight_bits": bits,
                        "activation_bits": activation,
                        "groups": group,
                        "predicted_sqnr": predicted,
                    }
                    values = {"error_sqnr": measured, "error_relative": 10 ** (-measured / 20), "error_cosine": 0.99}
                    records.append(make_record(case, 0, values, facts=facts))
    return records


def write_run(directory: Path, run: Run | None = None, records: Iterable[Record] | None = None) -> Path:
    """Write `run.jsonl` under `directory` (made when missing) and return `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    lines = [run or make_run(), *(make_records() if records is None else records)]
    (directory / "run.jsonl").write_bytes(b"".join(encode(line) + b"\n" for line in lines))
    return directory


def _troubles(point: Mapping[str, Value], turn: int, rounds: int, failing: Iterable[str]) -> list[Record]:
    ends = []
    if turn == 0:
        ends.append(("fp16", "skipped", "this example CPU has no float16 arithmetic"))
        ends += [(name, "failed", "RuntimeError: the example compiler refused this shape") for name in failing]
    if turn == rounds - 1:
        ends.append(("bf16", "crashed", "the worker ended by signal 11 (SIGSEGV)"))
    return [
        make_record(Case.of("quick", name, {**_POINT, **point}), turn, reason=reason, outcome=outcome)
        for name, outcome, reason in ends
    ]


def _measured(
    name: str, point: Mapping[str, Value], turn: int, factor: float, samples: int, noise: float, rng: random.Random
) -> Record:
    n, k, m = (int(point[key]) for key in ("n", "k", "m"))
    weight_bits, activation_bits, sqnr = _SCHEMES[str(point["scheme"])]
    seconds = factor * 1e-10 * n * k * (1 + m / 32) / _SPEED.get(name, 1.0) * rng.lognormvariate(0, noise)
    stored = n * k * _BITS.get(name, 16.0) / 8
    linear = name.startswith("linear")
    values: dict[str, float | Sequence[float]] = {
        "latency": [seconds * rng.lognormvariate(0, noise) for _ in range(samples)],
        "first_call": seconds * (2000 if name == "compiled" else 2),
        "prepare": seconds * 3,
        "weight_bytes": stored,
        "bits_per_weight": stored * 8 / (n * k),
        "resident_bytes": stored + 4 * n,
        "peak_forward_bytes": 4 * m * (n + k),
        "peak_rss": 3e8,
        "agreement_sqnr": 50.0 if name == "linear-bf16" else 130.0,
        "agreement_relative": 3e-3 if name == "linear-bf16" else 3e-7,
    }
    if not linear:
        values |= {"error_sqnr": sqnr, "error_relative": 10 ** (-sqnr / 20), "error_cosine": 0.92}
    facts: dict[str, Value] = {
        "weight_bits": weight_bits,
        "activation_bits": activation_bits,
        "groups": 1,
        "operations": 2 * m * n * k,
    }
    values = {metric: value for metric, value in values.items() if turn == 0 or METRICS[metric].repeats}
    return make_record(Case.of("quick", name, {**_POINT, **point}), turn, values, facts=facts)
