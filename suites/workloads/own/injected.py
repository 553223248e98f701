"""A forward that takes longer by a known share, by spinning or by doing more work, as an injection says."""

import os
import time
from collections.abc import Callable
from functools import partial
from statistics import median

import torch
from torch import Tensor, nn

from harness.model import Case, filters
from harness.model.injection import VARIABLE, Injection
from suites.workloads.layer.forward import Forward

_NOW = time.perf_counter
TRIALS = 9
"""Calls that tell how long one takes."""
LARGEST = 1 << 22
"""Elements of what the additional work goes through, at most."""
_DATA = torch.ones(LARGEST)


class Spun(nn.Module):
    """Calls an op, and spins for a share of what that took."""

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


class Worked(nn.Module):
    """Calls an op, and sums numbers for about a share of what that takes, as found out at the first call."""

    def __init__(self, op: nn.Module, share: float) -> None:
        super().__init__()
        self.op = op
        self.share = share
        self._work: Callable[[], object] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """The op's output, after more work than it needs."""
        if self._work is None and self.share:
            self._work = work_of(self.share * seconds_of(partial(self.op, x)))
        if self._work is not None:
            self._work()
        output: Tensor = self.op(x)
        return output


def seconds_of(call: Callable[[], object]) -> float:
    """What a call takes, in the middle of some."""
    call()
    taken = []
    for _ in range(TRIALS):
        start = _NOW()
        call()
        taken.append(_NOW() - start)
    return median(taken)


def work_of(seconds: float) -> Callable[[], object]:
    """A sum that takes about `seconds`: of twice as many numbers until it takes longer, then of fewer in proportion."""
    count = 64
    while count < LARGEST and seconds_of(_DATA[:count].sum) < seconds:
        count *= 2
    least, most = seconds_of(_DATA[: count // 2].sum), seconds_of(_DATA[:count].sum)
    part = (seconds - least) / (most - least) if most > least else 1.0
    chosen: Callable[[], object] = _DATA[: int(count / 2 * (1 + min(1.0, max(0.0, part))))].sum
    return chosen


KINDS: dict[str, Callable[[nn.Module, float], nn.Module]] = {"spin": Spun, "work": Worked}


class Slowed(Forward):
    """As `Forward`, with an op that is slower than the contestant's."""

    def __init__(self, case: Case, seed: int, injection: Injection) -> None:
        super().__init__(case, seed)
        self.injection = injection

    def op(self, gain: float = 1.0) -> nn.Module:
        """The contestant's, with what slows it down around it."""
        return KINDS[self.injection.kind](super().op(gain), self.injection.share)


def injected(case: Case, seed: int) -> Forward:
    """The workload of a case, slowed down if the injection that this process was started with is for it."""
    injection = Injection.parse(os.environ.get(VARIABLE, ""))
    if injection is None or not filters.parse(injection.match)(case.name):
        return Forward(case, seed)
    return Slowed(case, seed, injection)
