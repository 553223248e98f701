"""A contestant built small, on shapes and inputs that kernels trip over, before it is measured on those that count."""

import math
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from bitlinear.interface import Implementation
from bitlinear.scheme import Scheme
from bitlinear.theory import OUTLIER
from harness.model.workload import Check
from harness.user_code.plain_text import message
from harness.worker.device.devices import DEVICES
from harness.worker.visit import Clock
from suites.workloads.layer.judgement import disagreement, misshapen
from suites.workloads.layer.problem import Problem

SHAPES = ((3, 97, 5), (3, 128, 64))
"""(tokens, input features of a group, output features): an odd one, with a whole vector of 64 and a tail; and an even
one, for what refuses the odd one."""
SLOW_CALL = 0.5
"""Seconds of a first call from which on it is compilation, and further shapes are not tried."""
PAIRS = 9
ATTEMPTS = 5
REMEMBERS = 2.0
"""How many times faster than new inputs known ones may be. The least of `PAIRS` calls each are compared."""


def probe(implementation: Implementation, scheme: Scheme, dtype: torch.dtype, device: str, seed: int) -> Check:
    """Judge on the first of SHAPES that the contestant accepts. That it refuses one is a warning and not an error."""
    refusals = []
    for tokens, size, n in SHAPES:
        problem = _problem(scheme, (tokens, size * scheme.groups, n), dtype, device, seed)
        words = f"M={tokens} K={size * scheme.groups} N={n}"
        try:
            op = implementation.build(problem.layer())
            wrong = _judge(op, implementation, problem, device)
        except Exception as error:  # noqa: BLE001 - whatever it raises, it has refused, and says so; nothing is hidden
            refusals.append(f"{implementation.name} refuses {words}: {message(error, 200) or type(error).__name__}")
            continue
        return Check(wrong=wrong and f"{wrong}; in a trial with {words}", warning="; ".join(refusals))
    return Check(warning="; ".join(refusals))


def _problem(scheme: Scheme, shape: tuple[int, int, int], dtype: torch.dtype, device: str, seed: int) -> Problem:
    tokens, k, n = shape
    generator = torch.Generator().manual_seed(seed)
    weight = torch.empty(n, k).uniform_(-(k**-0.5), k**-0.5, generator=generator)
    plain, loud, quiet = torch.randn((3, tokens, k), generator=generator).unbind()
    loud[:, 0] *= OUTLIER
    quiet[-1] = 0  # a token without signal
    return Problem(scheme, weight.to(device, dtype), tuple(x.to(device, dtype) for x in (plain, loud, quiet)))


def _judge(op: nn.Module, implementation: Implementation, problem: Problem, device: str) -> str:
    answers = problem.answers(implementation)
    seconds, wrong = _timed_trial(op, implementation, problem, problem.inputs[:1], answers[:1], device)
    if wrong:
        return wrong
    inputs, expected = problem.inputs[1:], answers[1:]
    if seconds < SLOW_CALL:  # one token alone goes another way in many kernels
        one = problem.x[:1]
        inputs, expected = (*inputs, one), (*expected, implementation.expected(problem.layer(), one))
    _, wrong = _timed_trial(op, implementation, problem, inputs, expected, device)
    return wrong or _memory(op, problem, device)


def _timed_trial(
    op: nn.Module,
    implementation: Implementation,
    problem: Problem,
    inputs: Sequence[Tensor],
    answers: Sequence[Tensor],
    device: str,
) -> tuple[float, str]:
    """Seconds of the longest call, and why an output is wrong."""
    longest = 0.0
    buffer = torch.empty_like(problem.x)  # all in one place: what is remembered for a place is remembered wrongly
    for given, expected in zip(inputs, answers, strict=True):
        x = buffer[: len(given)].copy_(given)
        seconds, output = DEVICES[device].clock.elapsed(partial(op, x), 1)
        longest = max(longest, seconds)
        wrong = misshapen(output, expected.shape, x)
        if wrong or not isinstance(output, Tensor):
            return longest, wrong
        if wrong := disagreement(problem, implementation, x, expected, output):
            return longest, wrong
    return longest, ""


def _memory(op: nn.Module, problem: Problem, device: str) -> str:
    """Why it does not compute what it has computed before, or nothing. It is so only if it is in every attempt.

    A trial runs beside other work of the harness. There, nearly all calls that use several threads wait for a core, and
    one that did not need to may be a known one by chance.
    """
    least = math.inf
    for _ in range(ATTEMPTS):
        least = min(least, _times_faster(op, problem, DEVICES[device].clock))
        if least <= REMEMBERS:
            return ""
    return f"wrong answer: remembered, {least:.1f} times faster on inputs it has seen"


def _times_faster(op: nn.Module, problem: Problem, clock: Clock) -> float:
    """The least time of a call on a new input, divided by the least time of a call on one that it has just seen."""
    new, known = [], []
    for x in torch.randn((PAIRS, *problem.x.shape)).to(problem.x).unbind():
        new.append(clock.elapsed(partial(op, x), 1)[0])
        known.append(clock.elapsed(partial(op, x), 1)[0])
    return min(new) / min(known)
