"""The self-test of the metrics: what it says of a harness that is right, of one that is not, and of a noisy machine."""

import json
from collections.abc import Callable, Mapping, Sequence

import pytest
from click.testing import CliRunner

from harness.analysis.results import results
from harness.cli import bitbench
from harness.commands import selftest as command
from harness.judge.known_costs import CostFinding, exit_code, find
from harness.model import Case, Measurement, Record
from harness.show.table import FORMATS

SPIN = {"expected_latency": 1e-3, "operations": 1_000_000, "activation_bytes": 20_000}
COPY = {"expected_peak_forward_bytes": 1000, "expected_bits_per_weight": 2}
Distort = Callable[[str, float], float]


def truth(_: str, value: float) -> float:
    return value


def record(name: str, number: int, facts: Mapping[str, float], values: Mapping[str, Sequence[float]]) -> Record:
    case = Case.of("selftest", name, {"work": "copy" if "expected_latency" not in facts else "spin"})
    measurements = tuple(Measurement(metric, tuple(taken)) for metric, taken in values.items())
    return Record(case, number, "measured", measurements=measurements, facts=dict(facts))


def reported(distort: Distort = truth, rounds: Sequence[float] = (1.0, 1.001, 0.999)) -> list[Record]:
    """What a harness records that distorts every number by metric; `rounds` are factors of the latency."""
    made = []
    for name, times in (("once", 1), ("twice", 2)):
        for number, factor in enumerate(rounds):
            made.append(record(name, number, SPIN, {"latency": [distort("latency", times * 1e-3 * factor)]}))
        peak, bits = distort("peak_forward_bytes", times * 1000.0), distort("bits_per_weight", 2.0)
        made.append(record(name, 0, COPY, {"peak_forward_bytes": [peak], "bits_per_weight": [bits]}))
    return made


def judged(records: Sequence[Record]) -> list[CostFinding]:
    return find(results(records).values())


def scaled(metric: str, factor: float) -> Distort:
    return lambda name, value: value * factor if name == metric else value


def test_a_harness_that_reports_what_is_so_passes() -> None:
    findings = judged(reported())
    assert exit_code(findings) == 0
    assert {(one.contestant, one.metric) for one in findings} == {
        *[(f"spin {who}", "latency") for who in ("once", "twice", "twice / once")],
        *[(f"spin {who}", rate) for who in ("once", "twice") for rate in ("GFLOP/s", "GB/s")],
        *[(f"copy {who}", "peak_forward_bytes") for who in ("once", "twice", "twice / once")],
        *[(f"copy {who}", "bits_per_weight") for who in ("once", "twice", "twice / once")],
    }


@pytest.mark.parametrize(
    ("distort", "metric"),
    [
        (scaled("latency", 1.03), "latency"),
        (scaled("latency", 0.97), "latency"),
        (scaled("peak_forward_bytes", 1.0001), "peak_forward_bytes"),
        (scaled("bits_per_weight", 8.0), "bits_per_weight"),
        (lambda name, value: value + 5e-5 if name == "latency" else value, "latency"),
    ],
)
def test_a_harness_that_is_off_fails(distort: Distort, metric: str) -> None:
    findings = judged(reported(distort))
    assert exit_code(findings) == 1
    assert metric in {one.metric for one in findings if one.word == "no"}


def test_one_and_a_half_per_cent_is_within_what_is_promised_of_time() -> None:
    assert exit_code(judged(reported(scaled("latency", 1.015)))) == 0


def test_a_machine_too_noisy_to_tell_is_neither_right_nor_wrong() -> None:
    noisy = judged(reported(rounds=(1.0, 1.05, 0.97)))
    assert exit_code(noisy) == 4
    assert {one.word for one in noisy if one.metric == "GFLOP/s"} == {"too noisy"}
    wrong = judged(reported(scaled("peak_forward_bytes", 2.0), rounds=(1.0, 1.05, 0.97)))
    assert exit_code(wrong) == 1, "noise excuses no exact number"


def test_what_was_not_measured_is_wrong_and_so_is_nothing() -> None:
    silent = [one for one in reported() if one.case.params["work"] == "spin"]
    lost = Record(silent[0].case, 0, "crashed", "it fell over", facts=SPIN)
    assert exit_code(judged([lost, *silent[3:]])) == 1
    assert exit_code([]) == 1


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(("factor", "code"), [(1.0, 0), (1.03, 1)])
def test_the_verdict_is_printed_in_every_format(
    form: str, factor: float, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_measure", lambda: reported(scaled("latency", factor)))
    done = CliRunner().invoke(bitbench, ["selftest", "metrics", "--format", form], standalone_mode=False)
    assert done.return_value == code
    if form == "json":
        told = json.loads(done.stdout)
        assert told["exit_code"] == code
        assert len(told["findings"]) == 13
    else:
        assert "peak_forward_bytes" in done.stdout
        assert ("no" in done.stdout.replace(",", " ").split()) == bool(code)


def test_the_real_harness_on_this_machine_reports_every_exact_number_and_comes_to_a_verdict() -> None:
    done = CliRunner().invoke(bitbench, ["selftest", "metrics", "--format", "json"], standalone_mode=False)
    told = json.loads(done.stdout)
    exact = [one for one in told["findings"] if one["within"] == 0]
    assert len(exact) == 12
    assert {one["ok"] for one in exact} == {"yes"}
    assert all(one["reported"] == one["expected"] for one in exact)
    timed = [one for one in told["findings"] if one["metric"] == "latency"]
    assert len(timed) == 3
    assert all(one["reported"] > 0 for one in timed)
