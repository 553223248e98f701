"""What an adapter to another library must say, beyond what every contestant must.

    class Mine(WeightOnlyPeer):
        name, summary = "mylib-int8", "mylib: int8 weights"
        package = "mylib"
        contract = "weights int8 per output row, symmetric; activations as they are"

        def build(self, layer): ...            # import mylib in here, return a PeerOp
        def declared_weight(self, layer): ...  # what mylib's documentation says the weight becomes, float64
        def tolerance(self, ...): ...          # if its arithmetic is not float32

A peer gets the weights that the layer computes with, `effective_weight`: those of a model that was trained to be 1.58
bits wide, and not the float weights that were trained and are thrown away. A library of 2 bits or more can hold them
nearly exactly, and what it loses on the way is its own.
"""

from abc import abstractmethod
from collections.abc import Callable, Hashable, Iterable, Iterator
from importlib import metadata

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bitlinear.interface import Implementation, Tolerance, unit_roundoff
from bitlinear.layer import BitLinear
from bitlinear.scheme import Scheme

ROUNDINGS = 4
"""Of a product in half precision, each within the unit roundoff: two operands, the scale and the result."""


class Peer(Implementation):
    """Another library's way of computing a BitLinear, or of what comes next to one.

    Its package is imported when an op is built and never before: to be listed, skipped or described costs nothing.
    What the package raises then, when its install is broken for one, becomes the reason in its row.
    """

    package: str
    """The distribution, as pip knows it. Its version is recorded."""
    contract: str
    """Which function it computes, in one line: weights, activations, scales."""
    install: str = "pip install 'bitlinear-bench[peers]'"
    """The cure for a missing package."""
    devices: tuple[str, ...] = ("cpu",)
    """Where it runs."""
    dtypes: tuple[torch.dtype, ...] = (torch.float32,)
    """Of the input."""
    normalises: bool = False
    """Whether it computes the contract's normalisation; where not, it runs schemes without one."""

    def why_not(self, *, scheme: Scheme, device: str, dtype: torch.dtype, training: bool = False) -> str | None:
        """Also says which package is missing, and what of device, dtype and scheme the library does not know."""
        if device not in self.devices:
            return f"{self.name} runs on {' and '.join(self.devices)}, not on {device}"
        if self.version() is None:
            return f"{self.name} needs the package {self.package}: {self.install}"
        if dtype not in self.dtypes:
            return f"{self.name} takes {' and '.join(str(one).removeprefix('torch.') for one in self.dtypes)} here"
        if scheme.norm and not self.normalises:
            return f"{self.name} does not normalise its input; choose a scheme without, as in {scheme}-nonorm"
        return super().why_not(scheme=scheme, device=device, dtype=dtype, training=training)

    def version(self) -> str | None:
        """Of the installed package, or None. Imports nothing."""
        return installed(self.package)

    @property
    def follows_contract(self) -> bool:
        """Whether it promises what every implementation does, and not a function of its own."""
        return type(self).expected is Implementation.expected

    def promise(self) -> Hashable:
        """A function of its own is shared with nobody: two instances of one adapter may differ in their bits."""
        return super().promise() if self.follows_contract else self

    def facts(self) -> dict[str, str]:
        """What a record is to say of it: `library`, `version`, `computes`."""
        words = self.contract if self.follows_contract else f"its own function: {self.contract}"
        return {"library": self.package, "version": self.version() or "not installed", "computes": words}


class WeightOnlyPeer(Peer):
    """A peer whose function is `x @ declared_weight.T + bias`."""

    works_in: torch.dtype = torch.float32
    """What the library is given, as the models that it was made for come; input and output are cast, as in the
    baseline `linear-bf16`."""
    dtypes = (torch.float32, torch.bfloat16)

    @abstractmethod
    def declared_weight(self, layer: BitLinear) -> Tensor:
        """The weight `(N, K)` in float64 that `effective_weight(layer)` becomes by the library's documented format.

        Written from that format, and not by asking the library: otherwise it would be judged by itself.
        """

    def tolerance(self, scheme: Scheme, dtype: torch.dtype, in_features: int) -> Tolerance:
        """In half precision, the four roundings of a product whose operands and result are, and whose scale is too."""
        tolerance = super().tolerance(scheme, dtype, in_features)
        if rounding := unit_roundoff(self.works_in):
            return tolerance.plus(ROUNDINGS * rounding, f"input, weight, scale and product rounded to {self.works_in}")
        return tolerance

    def expected(self, layer: BitLinear, x: Tensor) -> Tensor:
        """`x @ declared_weight.T + bias` in float64: `(..., K)` to `(..., N)`. Activations are not quantised."""
        bias = None if layer.bias is None else layer.bias.detach().double()
        return F.linear(x.detach().double(), self.declared_weight(layer), bias)


def installed(package: str) -> str | None:
    """The version of a distribution, or None. Imports nothing of it."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


class PeerOp(nn.Module):
    """A library's call, which sees input `(M, K)` and returns `(M, N)`.

    `stored` are the plain tensors that hold its weights, scales included, as `plain_tensors` finds them: they become
    the op's buffers, and so are counted and watched. Memory of another owner can be wrapped (`torch.from_numpy`,
    `torch.frombuffer`); what cannot be reached at all is counted as `hidden_bytes`.
    """

    def __init__(
        self,
        call: Callable[[Tensor], Tensor],
        stored: Iterable[Tensor],
        *,
        works_in: torch.dtype | None = None,
        hidden_bytes: int = 0,
        note: str = "",
    ) -> None:
        """Casts input to `works_in`, if given, and output back."""
        super().__init__()
        self._works_in = works_in
        self._call = (call,)  # in a tuple: a module's own parameters would be counted a second time, or not at all
        self.hidden_bytes = hidden_bytes
        self.note = note
        for number, tensor in enumerate(stored):
            self.register_buffer(f"stored{number}", tensor)

    def forward(self, x: Tensor) -> Tensor:
        """What the library returns, in the dtype and with the leading dimensions of the input.

        No library is handed no tokens, which makes some of them crash, but a token of zeros, whose output is dropped.
        """
        rows = x.reshape(-1, x.shape[-1]) if x.numel() else x.new_zeros(1, x.shape[-1])
        y = self._call[0](rows.to(self._works_in or x.dtype)).to(x.dtype)
        if not x.numel():
            return y[:0].reshape(*x.shape[:-1], y.shape[-1])
        return y if x.dim() == 2 else y.reshape(*x.shape[:-1], y.shape[-1])


def plain_tensors(module: nn.Module) -> Iterator[Tensor]:
    """The tensors that hold what `module` stores: a tensor subclass that wraps others is taken apart."""
    for tensor in (*module.parameters(), *module.buffers()):
        yield from _parts(tensor)


def _parts(tensor: Tensor) -> Iterator[Tensor]:
    if not hasattr(tensor, "__tensor_flatten__"):
        yield tensor.detach()
        return
    names, _ = tensor.__tensor_flatten__()
    for name in names:
        yield from _parts(getattr(tensor, name))


@torch.no_grad()
def effective_weight(layer: BitLinear) -> Tensor:
    """The weight `(N, K)` that the layer computes with, codes times scale, in float32 (float64 for float64 layers)."""
    codes, scale = layer.quantised_weight()
    return (codes * scale).flatten(1)


@torch.no_grad()
def effective_linear(layer: BitLinear, dtype: torch.dtype = torch.float32) -> nn.Linear:
    """A plain linear layer with a copy of the effective weight and of the bias: what most libraries start from."""
    weight = effective_weight(layer).to(dtype)
    linear = nn.Linear(layer.in_features, layer.out_features, layer.bias is not None, device="meta")
    linear.weight = nn.Parameter(weight, requires_grad=False)
    if layer.bias is not None:
        linear.bias = nn.Parameter(layer.bias.detach().to(weight, copy=True), requires_grad=False)
    return linear.eval()
