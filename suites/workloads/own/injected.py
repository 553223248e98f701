"""A forward that takes longer by a known share, by spinning or by doing more work, as an injection says."""

import os
import time
from collections.abc import Callable
from functools import cache, partial
from statistics import median

import torch
from torch import Tensor, nn

from harness.model import Case, filters
from harness.model.injection import VARIABLE, Injection
from harness.worker.device.devices import DEVICES
from suites.workloads.layer.forward import Forward

_NOW = time.perf_counter
TRIALS = 9
"""Samples that tell how long a call takes."""
CALLS = {"cpu": 1}
"""In a sample."""
QUEUED = 32
"""In a sample on any other device: so many that the queue never runs dry, and few enough that all are soon launched."""
LARGEST = {"cpu": 1 << 22}
"""Elements of what the additional work goes through, at most."""
OF_A_GPU = 1 << 26
"""The same on any other device, which reads terabytes a second."""
CYCLES = 1_000_000
"""Of a GPU's clock, which tell how many a second has."""

Delay = Callable[[], object]


class Spun(nn.Module):
    """Calls an op, and spins for a share of what that took. Where calls are done when they return."""

    def __init__(self, op: nn.Module, share: float) -> None:
        super().__init__()
        self.op = op
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """The op's output, later."""
        start = _NOW()
        output: Tensor = self.op(x)
        now = _NOW()
        end = now + self.share * (now - start)
        while _NOW() < end:
            pass
        return output


class Delayed(nn.Module):
    """Calls an op after what takes about a share of its time on the device, as found out at the first call."""

    def __init__(self, op: nn.Module, share: float, delay: Callable[[float, str], Delay]) -> None:
        """`delay` makes what takes so many seconds on a device."""
        super().__init__()
        self.op = op
        self.share = share
        self._made_by = delay
        self._delay: Delay | None = None

    def forward(self, x: Tensor) -> Tensor:
        """The op's output, later."""
        if self._delay is None and self.share:
            device = x.device.type
            self._delay = self._made_by(self.share * seconds_of(partial(self.op, x), device), device)
        if self._delay is not None:
            self._delay()
        output: Tensor = self.op(x)
        return output


def seconds_of(call: Callable[[], object], device: str) -> float:
    """What a call takes on a device, in the middle of some samples."""
    clock, count = DEVICES[device].unwatched, CALLS.get(device, QUEUED)
    call()
    return median(clock.elapsed(call, count)[0] / count for _ in range(TRIALS))


def work_of(seconds: float, device: str) -> Delay:
    """A sum that takes about `seconds`: of twice as many numbers until it takes longer, then of fewer in proportion."""
    numbers, count = _numbers(device), 64
    while count < len(numbers) and seconds_of(numbers[:count].sum, device) < seconds:
        count *= 2
    least, most = seconds_of(numbers[: count // 2].sum, device), seconds_of(numbers[:count].sum, device)
    part = (seconds - least) / (most - least) if most > least else 1.0
    chosen: Delay = numbers[: int(count / 2 * (1 + min(1.0, max(0.0, part))))].sum
    return chosen


@cache
def _numbers(device: str) -> Tensor:
    """Kept, so that they count as nobody's."""
    return torch.ones(LARGEST.get(device, OF_A_GPU), device=device)


def hold_of(seconds: float, device: str) -> Delay:
    """A kernel that keeps a CUDA GPU for `seconds` and does nothing."""
    spin = torch.cuda._sleep
    a_cycle = seconds_of(partial(spin, CYCLES), device) / CYCLES
    return partial(spin, round(seconds / a_cycle))


def slower(op: nn.Module, injection: Injection, device: str) -> nn.Module:
    """The op, and what slows it down as `injection` says: on the host of a GPU nobody would see it."""
    if injection.kind == "work":
        return Delayed(op, injection.share, work_of)
    return Delayed(op, injection.share, hold_of) if device == "cuda" else Spun(op, injection.share)


class Slowed(Forward):
    """As `Forward`, with an op that is slower than the contestant's."""

    def __init__(self, case: Case, seed: int, injection: Injection) -> None:
        super().__init__(case, seed)
        self.injection = injection

    def op(self, gain: float = 1.0) -> nn.Module:
        """The contestant's, with what slows it down around it."""
        return slower(super().op(gain), self.injection, self.problem.x.device.type)


def injected(case: Case, seed: int) -> Forward:
    """The workload of a case, slowed down if the injection that this process was started with is for it."""
    injection = Injection.parse(os.environ.get(VARIABLE, ""))
    if injection is None or not filters.parse(injection.match)(case.name):
        return Forward(case, seed)
    return Slowed(case, seed, injection)
