"""One step of a decoder: a token for each of several sequences, or the prompt of one."""

import copy
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from bitlinear.interface import Implementation
from bitlinear.layer import BitLinear
from bitlinear.scheme import Scheme
from harness.model import Case
from harness.model.workload import Check, Prepared, Workload
from harness.worker.accuracy import relative_error, sqnr
from suites.catalogue.contestants import find
from suites.whole.decoder import Decoder
from suites.whole.model import DECODING
from suites.workloads.decoding.blocks import Block, Decoding, Nothing, angles
from suites.workloads.layer.copies import why_no_copy
from suites.workloads.layer.forward import storages, stored_bytes
from suites.workloads.layer.problem import Problem
from suites.workloads.layer.rotation import weights

PLAUSIBLE = 20.0
"""Decibels by which a block must agree with one of exact products. Codes at a tie may fall either way, product after
product, and each product is judged by itself in a row of its own."""
SAME = 1e-3
"""By how much, relative to its norm, the output of a timed step may differ from that of the step that was judged."""


class Step(Workload):
    """A step of the case's decoder, with products of one contestant, or with nothing in their places (`part=rest`)."""

    def __init__(self, case: Case, seed: int) -> None:
        super().__init__(case, seed)
        params = case.params
        self.decoder = Decoder.from_params(params)
        self.scheme = Scheme.parse(str(params["scheme"]))
        self.implementation: Implementation = find(case.implementation)
        self.has_products = params["part"] == "decoder"
        m, self.past = int(params["m"]), int(params["context"])
        sequences, tokens = (m, 1) if m <= DECODING else (1, m)
        dtype, device = getattr(torch, str(params["dtype"])), str(params["device"])
        x = torch.randn((sequences, tokens, self.decoder.width), generator=torch.Generator().manual_seed(seed))
        self.x = x.to(device, dtype)
        first = self.past if tokens == 1 else 0
        positions = torch.arange(first, first + tokens, device=device)
        cosine, sine = angles(positions, self.decoder.head_features)
        self.turns = (cosine.to(dtype), sine.to(dtype))

    def context(self) -> AbstractContextManager[object]:
        """Inference mode: nobody is charged for autograd."""
        return torch.inference_mode()

    def why_not(self) -> str | None:
        """What the contestant says of this scheme, device and dtype."""
        return self.implementation.why_not(scheme=self.scheme, device=self.x.device.type, dtype=self.x.dtype)

    def build(self) -> "PreparedStep":
        """A decoder of its own, of which all blocks have weights in other places."""
        return PreparedStep(self, self._decoding())

    def layers(self, number: int = 0) -> list[BitLinear]:
        """Those that the products of a block are made from, in the order of `decoder.products`; each call the same."""
        generator = torch.Generator().manual_seed(self.seed + number)
        made = []
        for n, k in self.decoder.products:
            weight = torch.empty(n, k).uniform_(-(k**-0.5), k**-0.5, generator=generator)
            made.append(Problem(self.scheme.for_features(k), weight.to(self.x.device, self.x.dtype), ()).layer())
        return made

    def block(self, products: Sequence[nn.Module]) -> Block:
        """One block around them."""
        return Block(self.decoder, products, self.past, self.x).eval()

    def _decoding(self) -> Decoding:
        count = self.decoder.blocks
        if not self.has_products:
            blocks = [self.block([Nothing(n) for n, _ in self.decoder.products]) for _ in range(count)]
            return Decoding(self.decoder, blocks, self.x)
        first = self._made(0)
        is_copied = not why_no_copy(first, lambda block: block(self.x, self.turns))
        others = [copy.deepcopy(first) if is_copied else self._made(number) for number in range(1, count)]
        return Decoding(self.decoder, [first, *others], self.x)

    def _made(self, number: int) -> Block:
        return self.block([self.implementation.build(layer) for layer in self.layers(number)])


class Exact(nn.Module):
    """A product that returns what its contestant promises, rounded once."""

    def __init__(self, implementation: Implementation, layer: BitLinear) -> None:
        super().__init__()
        self.implementation, self.layer = implementation, layer

    def forward(self, x: Tensor) -> Tensor:
        """From `(..., K)` to `(..., N)`, in the dtype of `x`."""
        promised = self.implementation.expected(self.layer, x.flatten(0, -2))
        return promised.view(*x.shape[:-1], -1).to(x.dtype)


class PreparedStep(Prepared):
    """One build of a decoder, called on one input."""

    def __init__(self, step: Step, decoding: Decoding) -> None:
        self.step, self.decoding = step, decoding
        self._judged: Tensor | None = None

    def __call__(self) -> object:
        """Logits."""
        return self.decoding(self.step.x, self.step.turns)

    def check(self, metrics: frozenset[str]) -> Check:
        """The first block against one whose products are exact, then whether the whole gives numbers."""
        step = self.step
        values: dict[str, float] = {}
        if step.has_products:
            exact = step.block([Exact(step.implementation, layer) for layer in step.layers()])
            # Less the residual path, which would hide products that are wrong.
            expected, found = (block(step.x, step.turns) - step.x for block in (exact, self.decoding.blocks[0]))
            agreement = sqnr(expected.double(), found.double())
            values = {"agreement_sqnr": agreement}
            if not agreement >= PLAUSIBLE:
                told = f"{agreement:.3g} dB alone"
                return Check(values, f"wrong answer: a block agrees with one of exact products by {told}")
        output = self()
        assert isinstance(output, Tensor)
        if not bool(output.isfinite().all()):
            return Check(values, "wrong answer: a step of the decoder gives numbers that are not finite")
        self._judged = output.clone()
        return Check(values)

    def inspect(self, output: object) -> str:
        """Whether a timed step gave what the judged one gave."""
        if self._judged is None:
            return self.check(frozenset()).wrong
        if isinstance(output, Tensor) and output.shape == self._judged.shape:
            apart = relative_error(self._judged.double(), output.double())
            return "" if apart <= SAME else "wrong answer: a timed step differs from the step that was judged"
        return "wrong answer: a timed step gives no logits"

    def stored(self) -> Mapping[str, float]:
        """Bytes of all products."""
        if not self.step.has_products:
            return {}
        count = self.step.decoder.blocks * sum(n * k for n, k in self.step.decoder.products)
        size = sum(stored_bytes(product) for product in self._products())
        return {"weight_bytes": size, "bits_per_weight": 8 * size / count}

    def storages(self) -> Mapping[int, int]:
        """Those behind parameters and buffers."""
        return storages(weights(self.decoding))

    def declared(self) -> float | None:
        """Nothing: what attention keeps is no matter of the contestant."""
        return None

    def _products(self) -> list[nn.Module]:
        blocks = (block for block in self.decoding.blocks if isinstance(block, Block))
        return [product for block in blocks for product in block.products]
