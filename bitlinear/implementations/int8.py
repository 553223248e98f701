"""`int8`: `torch._int_mm` on int8 codes."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bitlinear.engines.codes import CodedLinear
from bitlinear.implementations.coded import CodedImplementation
from bitlinear.layer import BitLinear
from bitlinear.scheme import Scheme, largest_code

_LEAST_ROWS = {"cuda": 17}
"""`torch._int_mm` on CUDA used to want more than 16 rows (pytorch pull request 178469)."""
_SELF_TEST_ROWS = 33


class Int8(CodedImplementation):
    """Exact inner sums, at a quarter of the bytes of float32.

    `torch._int_mm` has been silently wrong on CPUs without VNNI (pytorch issue 136746) and still is for one input
    feature, so every op tests itself on its own weights when it is built, and falls back to an exact float64 product.
    """

    name = "int8"
    summary = "weights quantised once to int8 codes, torch._int_mm, self-tested for exactness"

    def why_not(self, *, scheme: Scheme, device: str, dtype: torch.dtype, training: bool = False) -> str | None:
        """Also says that both operands must be int8 codes, and on which devices."""
        if scheme.activation_bits > 8:
            return f"int8 multiplies int8 codes, and activation_bits={scheme.activation_bits} does not fit them"
        if device not in ("cpu", "cuda"):
            return f"torch._int_mm runs on cpu and cuda, not on {device}"
        return super().why_not(scheme=scheme, device=device, dtype=dtype, training=training)

    def build(self, layer: BitLinear) -> nn.Module:
        """Codes in int8. The op's `note` says so when it had to fall back."""
        return Int8Linear(layer)


class Int8Linear(CodedLinear):
    """CodedLinear with exact inner sums: in int32, or in float64 where `torch._int_mm` is not exact."""

    most_activation_bits = 8

    def __init__(self, layer: BitLinear) -> None:
        super().__init__(layer, torch.int8)
        self.note = self._self_test()

    def accumulate(self, a: Tensor, w: Tensor) -> Tensor:
        """The exact inner sums `(M, N)` of activation codes `(M, Kg)` and int8 weight codes `(N, Kg)`."""
        return _exact(a, w) if self.note else _int_mm(a.to(torch.int8), w)

    def _self_test(self) -> str:
        """A sentence that says why `torch._int_mm` cannot be used on these weights, or nothing."""
        faults = (_fault(_trial_codes(w, largest_code(self.scheme.activation_bits)), w) for w in self.codes)
        fault = next(filter(None, faults), "")
        return f"torch._int_mm {fault}; using a slower exact product" if fault else ""


def _fault(a: Tensor, w: Tensor) -> str:
    exact = _exact(a, w)
    for rows in (1, len(a)):  # kernels for one row are different ones
        try:
            if not torch.equal(_int_mm(a[:rows], w).double(), exact[:rows]):
                return f"is inexact for K={w.shape[1]}, N={w.shape[0]} here"
        except RuntimeError as error:
            return f"refuses K={w.shape[1]}, N={w.shape[0]} here ({str(error).splitlines()[0]})"
    return ""


def _int_mm(a: Tensor, w: Tensor) -> Tensor:
    """`a @ w.T` in int32, with rows of zeros added while there are fewer than the device wants."""
    rows, least = a.shape[0], _LEAST_ROWS.get(a.device.type, 1)  # `len` would fix the number in an exported graph
    if rows >= least:
        return torch._int_mm(a, w.T)
    return torch._int_mm(F.pad(a, (0, 0, 0, least - rows)), w.T)[:rows]


def _exact(a: Tensor, w: Tensor) -> Tensor:
    """`a @ w.T` in float64, exact below 2^53; a part of `w` at a time, because its copy is eight times as large."""
    return torch.cat([a.double() @ part.T.double() for part in torch.split(w, 1024)], dim=1)


def _trial_codes(w: Tensor, top: int) -> Tensor:
    """Activation codes `(rows, Kg)` that cover the whole range; the first row drives output 0 to its largest sum."""
    generator = torch.Generator("cpu").manual_seed(0)
    shape = (_SELF_TEST_ROWS, w.shape[1])
    a = torch.randint(-top, top + 1, shape, generator=generator, dtype=torch.int8, device="cpu").to(w.device)
    a[0] = top * torch.where(w[0] < 0, -1, 1)
    return a
