"""The implementation that is asked, and the examples on which it is asked: small ones first, so that the first to fail
is the smallest.

Examples are enumerated and not drawn at random: what fails once fails for everybody, in the same words, and there is
nothing to shrink.
"""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from bitlinear.conformance import SCHEMES
from bitlinear.conformance.output import misshapen
from bitlinear.interface import Implementation, overflown
from bitlinear.layer import BitLinear
from bitlinear.scheme import Scheme
from bitlinear.theory import OUTLIER

LAYERS = ((10, 20, True), (100, 1, False))
"""Input features, output features, bias."""
EVEN = (640, 64, False)
"""A layer for kernels that refuse the others."""
DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
TOKENS = 32


@dataclass(frozen=True)
class Example:
    """One layer and one input for it, always the same."""

    scheme: Scheme
    in_features: int
    out_features: int
    bias: bool = False
    shape: tuple[int, ...] = (TOKENS,)
    """Of the input, less its last dimension."""
    dtype: torch.dtype = torch.float32
    weights: torch.dtype = torch.float32
    kind: str = "ordinary"
    """Of the input: `ordinary`, or what its last token is: `zeros`, `outlier`, `nan` or `infinite`."""

    def __str__(self) -> str:
        kind = "" if self.kind == "ordinary" else f", last token {self.kind}"
        weights = "" if self.weights == torch.float32 else f" weights={_name(self.weights)}"
        return (
            f"scheme={self.scheme} K={self.in_features} N={self.out_features} bias={self.bias}{weights}"
            f" x={(*self.shape, self.in_features)} {_name(self.dtype)}{kind}"
        )

    def layer(self, device: str, seed: int = 0) -> BitLinear:
        """The layer; another `seed` gives one of other weights."""
        layer = BitLinear(
            self.in_features,
            self.out_features,
            self.scheme.groups,
            weight_bits=self.scheme.weight_bits,
            activation_bits=self.scheme.activation_bits,
            norm=self.scheme.norm,
            bias=self.bias,
            device=device,
        )
        generator = self._generator(seed)
        with torch.no_grad():
            for parameter in layer.parameters():  # drawn on the CPU, to be the same on every device
                drawn = torch.empty(parameter.shape).uniform_(-1, 1, generator=generator)
                parameter.copy_(drawn * self.in_features**-0.5)
        return layer.to(self.weights)

    def input(self, device: str, seed: int = 0) -> Tensor:
        """The input `(*shape, K)`; another `seed` gives other values of the same kind."""
        x = torch.randn((*self.shape, self.in_features), generator=self._generator(seed + 1))
        last = x.view(-1, self.in_features)[-1:]
        match self.kind:
            case "zeros":
                last.zero_()
            case "outlier":
                last[:, :1] *= OUTLIER
            case "nan":
                last[:, -1:] = torch.nan
            case "infinite":
                last[:, :1] = torch.inf
        return x.to(device, self.dtype)

    def _generator(self, seed: int) -> torch.Generator:
        return torch.Generator().manual_seed(zlib.crc32(f"{self}/{seed}".encode()))


@dataclass
class Subject:
    """An implementation, and what it is asked about: these schemes, on a device, with input of a dtype."""

    implementation: Implementation
    schemes: Sequence[Scheme] = SCHEMES
    device: str = "cpu"
    dtype: torch.dtype = torch.float32
    example: Example | None = None
    """What it is being asked about now."""
    accepted: set[Scheme] = field(default_factory=set)
    """What it has built a layer of."""
    refusals: list[str] = field(default_factory=list)
    """Why it was not asked about others: what it said itself, or a ValueError or NotImplementedError of `build`."""
    raised: list[str] = field(default_factory=list)
    """Whatever else `build` raised about them, which is no way to say no."""

    def examples(self) -> Iterator[Example]:
        """Every scheme with every layer; where the small ones are refused, with one that is even."""
        for scheme in self.schemes:
            for layer in LAYERS:
                yield self._example(scheme, layer)
            if scheme not in self.accepted:
                yield self._example(scheme, EVEN)

    def even(self, in_features: int = EVEN[0], out_features: int = EVEN[1]) -> Iterator[Example]:
        """One layer, for one scheme of each number of weight bits that it can be built for."""
        seen = set()
        for scheme in self.schemes:
            if scheme.weight_bits not in seen:
                yield self._example(scheme, (in_features, out_features, False))
                if scheme in self.accepted:
                    seen.add(scheme.weight_bits)

    def _example(self, scheme: Scheme, layer: tuple[int, int, bool]) -> Example:
        k, n, bias = layer
        return Example(scheme, k if k % scheme.groups == 0 else k * scheme.groups, n, bias, dtype=self.dtype)

    def ops(self, examples: Iterable[Example]) -> Iterator[tuple[Example, BitLinear, nn.Module]]:
        """Each example with its layer and the op built from it; what is refused is passed over."""
        for example in examples:
            self.example = example
            if reason := self.why_not(example):
                self.refusals.append(reason)
                continue
            layer = example.layer(self.device)
            try:
                op = self.implementation.build(layer)
            except Exception as error:  # noqa: BLE001 - kept and reported where it matters: by `sizes`, or if all is refused
                kind = self.refusals if isinstance(error, ValueError | NotImplementedError) else self.raised
                kind.append(f"{in_words(error)}; from build, with {example}")
                continue
            self.accepted.add(example.scheme)
            yield example, layer, op

    def samples(self) -> Iterator[tuple[Example, BitLinear, nn.Module]]:
        """One of `ops` for each number of weight bits and each layer: enough for what is no matter of numbers."""
        seen = set()

        def unseen() -> Iterator[Example]:
            for example in self.examples():
                if (example.scheme.weight_bits, example.out_features) not in seen:
                    yield example

        for example, layer, op in self.ops(unseen()):
            seen.add((example.scheme.weight_bits, example.out_features))
            yield example, layer, op

    def why_not(self, example: Example) -> str | None:
        """Why it does not offer the scheme and dtype of `example`."""
        return self.implementation.why_not(scheme=example.scheme, device=self.device, dtype=example.dtype)

    def fault(self, layer: BitLinear, x: Tensor, y: object) -> str:
        """Why `y` is not what the implementation promises for `x`, or nothing."""
        expected = self.implementation.expected(layer, x)
        if wrong := misshapen(y, expected.shape, x):
            return wrong
        assert isinstance(y, Tensor)
        finite = y.isfinite() | overflown(expected, y)
        if not torch.equal(finite, expected.isfinite()):
            missing, wanted = (int((~values).sum()) for values in (finite, expected.isfinite()))
            return f"{missing} of {y.numel()} values are NaN or infinite, expected {wanted}"
        tolerance = self.implementation.tolerance(layer.scheme, x.dtype, layer.in_features)
        relative = self.implementation.disagreement(layer, x, expected, y)
        if relative <= tolerance.relative:
            return ""
        return f"relative error {relative:.3g}, {tolerance.relative:.3g} allowed ({tolerance.reason})"


def in_words(error: BaseException) -> str:
    """An error in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
