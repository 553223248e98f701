"""One forward pass of a layer, in inference mode."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial

import torch
from torch import Tensor, nn

from bitlinear.implementation import Implementation
from harness.accuracy import distance, relative_error
from harness.model import Case
from harness.suite import Check, Workload
from suites.workloads.catalogue import find
from suites.workloads.problem import Problem, problem


class Forward(Workload):
    """`op(x)` for one contestant."""

    def __init__(self, case: Case, seed: int) -> None:
        self.case = case
        self.problem: Problem = problem(case, seed)
        self.implementation: Implementation = find(case.implementation)

    def context(self) -> AbstractContextManager[object]:
        """Inference mode: nobody is charged for autograd."""
        return torch.inference_mode()

    def why_not(self) -> str | None:
        """What the contestant says of this scheme, device and dtype."""
        x = self.problem.x
        return self.implementation.why_not(scheme=self.problem.scheme, device=x.device.type, dtype=x.dtype)

    def build(self) -> Callable[[], object]:
        """The contestant made from a layer of its own, which is let go of."""
        return partial(self.implementation.build(self.problem.layer()), self.problem.x)

    def check(self, call: Callable[[], object], metrics: frozenset[str]) -> Check:
        """Agreement with what the contestant promises to compute; quantisation error of the scheme if asked for."""
        output = call()
        expected = self._expected()
        wrong = _misshapen(output, expected, self.problem.x)
        if wrong or not isinstance(output, Tensor):
            return Check({"agreement_sqnr": math.nan}, wrong)
        values = distance("agreement", expected, output, metrics | {"agreement_sqnr"})
        if any(metric.startswith("error") for metric in metrics):
            values = {**values, **self._error(metrics)}
        return Check(values, self._disagreement(expected, output))

    def note(self, call: Callable[[], object]) -> str:
        """The op's own, if it has one."""
        note = getattr(getattr(call, "func", None), "note", "")
        return f"{self.implementation.name}: {note}" if note else ""

    def stored(self, call: Callable[[], object]) -> Mapping[str, float]:
        """All bytes of the op's tensors, counted once even if shared, and the bits that makes per weight."""
        op = call.func if isinstance(call, partial) else None
        if not isinstance(op, nn.Module):
            return {}
        size = stored_bytes(op)
        return {"weight_bytes": size, "bits_per_weight": 8 * size / self.problem.weight.numel()}

    def _expected(self) -> Tensor:
        if type(self.implementation).expected is Implementation.expected:
            return self.problem.contract  # shared by all that promise the contract
        return self.implementation.expected(self.problem.layer(), self.problem.x)

    def _error(self, metrics: frozenset[str]) -> Mapping[str, float]:
        """Of the scheme, so the same for all that follow the contract; what computes no scheme has none."""
        if type(self.implementation).expected is not Implementation.expected:
            return {}
        return distance("error", self.problem.twin, self.problem.contract, metrics)

    def _disagreement(self, expected: Tensor, output: Tensor) -> str:
        x = self.problem.x
        tolerance = self.implementation.tolerance(self.problem.scheme, x.dtype, x.shape[-1])
        if relative_error(expected.double(), output.double()) <= tolerance.relative:
            return ""  # nearly always; only then is the scale of what was summed worth computing
        relative = self.implementation.disagreement(self.problem.layer(), x, expected, output)
        if relative <= tolerance.relative:
            return ""
        return (
            f"wrong answer: relative error {relative:.3g} against what it promises to compute,"
            f" {tolerance.relative:.3g} allowed ({tolerance.reason})"
        )


def _misshapen(output: object, expected: Tensor, x: Tensor) -> str:
    """Why the output cannot even be compared, or nothing."""
    if not isinstance(output, Tensor):
        return f"wrong answer: returned a {type(output).__name__}, not a tensor"
    if output.shape != expected.shape:
        return f"wrong answer: shape {tuple(output.shape)}, expected {tuple(expected.shape)}"
    if output.dtype != x.dtype:
        return f"wrong answer: dtype {output.dtype}, expected the input's {x.dtype}"
    missing = int((~output.isfinite()).sum())
    if missing and expected.isfinite().all():
        return f"wrong answer: {missing} of {output.numel()} values are NaN or infinite"
    return ""


def stored_bytes(op: nn.Module) -> int:
    """Bytes of every storage behind the parameters and buffers of `op`, padding included, shared ones once."""
    return storage_bytes([*op.parameters(), *op.buffers()])


def storage_bytes(tensors: Sequence[Tensor]) -> int:
    """Bytes of every storage behind `tensors`, shared ones once."""
    return sum({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors if t.numel()}.values())
