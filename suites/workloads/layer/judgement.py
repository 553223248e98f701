"""Whether an output is what an implementation promised, and nobody else's."""

from collections.abc import Iterable

import torch
from torch import Tensor

from bitlinear.conformance import output as output_form
from bitlinear.interface import Implementation
from harness.worker.accuracy import relative_error
from suites.workloads.layer.problem import Problem


def misshapen(output: object, shape: torch.Size, x: Tensor) -> str:
    """Why the output for `x` cannot even be compared with what was expected, or nothing."""
    return _wrong(output_form.misshapen(output, shape, x))


def shared(output: Tensor, others: Iterable[Tensor], x: Tensor) -> str:
    """Why the memory of the output is not its own, or nothing. `others` are outputs that are still held."""
    return _wrong(output_form.shared(output, others, x))


def irreproducible(output: Tensor, again: Tensor) -> str:
    """How far apart two right outputs for one input are, as a warning; nothing if not at all."""
    if torch.equal(output, again):
        return ""
    apart = relative_error(output.double(), again.double())
    return f"two calls on one input differ by {apart:.2g} of its norm: not reproducible; fix the order of its sums"


def disagreement(problem: Problem, implementation: Implementation, x: Tensor, expected: Tensor, output: Tensor) -> str:
    """Why the output `(M, N)` for `x` is not what was expected of the problem's layer, or nothing.

    Also of some rows alone: no tolerance depends on their number.
    """
    representable = expected.abs() < 0.99 * torch.finfo(output.dtype).max
    missing = int((representable & ~output.isfinite()).sum())
    if missing and expected.isfinite().all():
        return f"wrong answer: {missing} of {output.numel()} values are NaN or infinite"
    tolerance = implementation.tolerance(problem.scheme, x.dtype, x.shape[-1])
    if relative_error(expected, output.double()) <= tolerance.relative:
        return ""  # nearly always; only then is the scale of what was summed worth computing
    relative = implementation.disagreement(problem.layer(), x, expected, output)
    if relative <= tolerance.relative:
        return ""
    return (
        f"wrong answer: relative error {relative:.3g} against what it promises to compute,"
        f" {tolerance.relative:.3g} allowed ({tolerance.reason})"
    )


def _wrong(reason: str) -> str:
    return reason and f"wrong answer: {reason}"
