"""A known slowdown is put into the cases that it is for, and into nothing else."""

import itertools

import pytest
import torch
from torch import nn

from harness.errors import UsageError
from harness.model import Case
from harness.model.injection import VARIABLE, Injection
from harness.worker.device.devices import DEVICES, Cpu
from harness.worker.visit import Call
from suites.workloads.layer.forward import Forward
from suites.workloads.own import injected

CASE = Case.of("gate", "eager", {"m": 1, "n": 64, "k": 64, "scheme": "w1.58a8", "dtype": "float32", "threads": 1})


@pytest.mark.parametrize("kind", ["spin", "work"])
def test_an_injection_is_for_the_cases_that_match(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setenv(VARIABLE, f"{kind} 0.5 eager and m=1/")
    slowed = injected.injected(CASE, 0)
    assert isinstance(slowed, injected.Slowed)
    with slowed.context():
        prepared = slowed.build()
        prepared()
        assert not prepared.check(frozenset()).wrong
        assert prepared.stored() == Forward(CASE, 0).build().stored()
    monkeypatch.setenv(VARIABLE, f"{kind} 0.5 int8")
    assert type(injected.injected(CASE, 0)) is Forward
    monkeypatch.delenv(VARIABLE)
    assert type(injected.injected(CASE, 0)) is Forward


@pytest.mark.parametrize("share", [0.0, 0.25, 2.0])
def test_a_spin_lasts_for_its_share_of_the_call(monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    """By a clock that goes on by one hundredth of a call at every look."""
    ticks = itertools.count()
    looks: list[float] = []

    def now() -> float:
        looks.append(next(ticks) * 0.01)
        return looks[-1]

    class Op(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for _ in range(99):
                next(ticks)
            return x

    monkeypatch.setattr(injected, "_NOW", now)
    injected.Spun(Op(), share)(torch.zeros(1))
    assert looks[1] - looks[0] == pytest.approx(1.0)
    assert looks[-1] - looks[1] == pytest.approx(share, abs=0.0101)


class Gpu(Cpu):
    """A device on whose queue everything takes a known time, and launching it none."""

    queued = 8

    def __init__(self) -> None:
        self.clock = self
        self.now = 0.0

    def elapsed(self, call: Call, iterations: int) -> tuple[float, object]:
        start = self.now
        for _ in range(iterations):
            call()
        return self.now - start, None


def test_on_a_gpu_a_delay_is_a_share_of_what_its_own_clock_says(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = Gpu()

    class Op(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            gpu.now += 200e-6
            return x

    def spin(cycles: int) -> None:
        gpu.now += cycles / 1.7e9

    monkeypatch.setitem(DEVICES, "cpu", gpu)  # where the tensors of this test are
    monkeypatch.setattr(torch.cuda, "_sleep", spin)
    slowed = injected.Delayed(Op(), 0.05, injected.hold_of)
    slowed(torch.zeros(1))
    before = gpu.now
    slowed(torch.zeros(1))
    assert gpu.now - before == pytest.approx(1.05 * 200e-6, rel=1e-3)


def test_on_a_gpu_the_host_does_not_spin() -> None:
    for kind, kinds in (("spin", (injected.Spun, injected.Delayed)), ("work", (injected.Delayed, injected.Delayed))):
        made = [injected.slower(nn.Identity(), Injection(kind, 0.05), device) for device in ("cpu", "cuda")]  # type: ignore[arg-type]  # one of the two
        assert tuple(map(type, made)) == kinds


def test_an_injection_reads_back() -> None:
    for one in (Injection("spin", 0.05), Injection("work", -0.1, "eager and m=1/")):
        assert Injection.parse(str(one)) == one
    assert Injection.parse("") is None
    for text in ("spin", "spin much", "sleep 0.1"):
        with pytest.raises(UsageError, match="is no injection; write KIND SHARE MATCH"):
            Injection.parse(text)
