"""What a conversion did to a model, kept with the model."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import nn

from bitlinear.engines.packed import PackedLinear
from bitlinear.models.names import listed
from bitlinear.scheme import FULL_PRECISION, Scheme

_ATTRIBUTE = "bitlinear_conversion"


@dataclass(frozen=True)
class Replaced:
    """One layer, or the weights of experts in one parameter."""

    name: str
    """Qualified."""
    was: str
    """The class that it had; of experts that of the module that holds them."""
    now: str
    """The class that it has."""
    scheme: Scheme
    """With a number of groups."""
    out_features: int
    in_features: int
    count: int = 1
    """Experts in the parameter."""

    @property
    def packed_bytes(self) -> int:
        """Of its weights and scales as `PackedLinear` stores them: the bits of the scheme. Without the bias."""
        if self.scheme.weight_bits == FULL_PRECISION:
            return self.count * self.out_features * self.in_features * FULL_PRECISION // 8
        layer = PackedLinear(self.in_features, self.out_features, self.scheme, device="meta", dtype=torch.float32)
        return self.count * sum(buffer.nbytes for buffer in layer.buffers())


@dataclass(frozen=True)
class Conversion:
    """What `replace_linear` or `convert` did; as text, a line for each kind of layer and scheme."""

    replaced: list[Replaced]
    skipped: list[str]
    """By the caller's wish: `skip`, `only`, or null in a plan."""
    left: dict[str, str]
    """What was left as it is, and the reason."""
    bytes_before: int
    """Of all parameters and buffers of the model, each once."""
    bytes_after: int
    note: str = field(default="")
    """That of the plan."""

    @property
    def schemes(self) -> dict[str, Scheme]:
        """By the name of the layer."""
        return {one.name: one.scheme for one in self.replaced}

    @property
    def packed_bytes(self) -> int:
        """Of the replaced weights and their scales, in the bits of their schemes."""
        return sum(one.packed_bytes for one in self.replaced)

    def __str__(self) -> str:
        kinds: dict[tuple[str, str, str], list[str]] = {}
        for one in self.replaced:
            kinds.setdefault((one.was, one.now, str(one.scheme)), []).append(one.name)
        lines = [f"{len(n)} {was} are {now} {scheme} now: {listed(n)}" for (was, now, scheme), n in kinds.items()]
        if self.skipped:
            lines.append(f"{len(self.skipped)} skipped as asked: {listed(self.skipped)}")
        reasons: dict[str, list[str]] = {}
        for name, reason in self.left.items():
            reasons.setdefault(reason, []).append(name)
        lines += [f"{len(n)} left as they are, because {reason}: {listed(n)}" for reason, n in reasons.items()]
        return "\n".join([*lines, f"{self.bytes_before:,} bytes before, {self.bytes_after:,} after"])


def conversion_of(model: nn.Module) -> Conversion:
    """What the last `replace_linear` or `convert` did to `model`. Raises ValueError if there was none."""
    found = getattr(model, _ATTRIBUTE, None)
    if not isinstance(found, Conversion):
        raise ValueError(f"this {type(model).__name__} was not converted; call replace_linear or convert first")
    return found


def remember(model: nn.Module, conversion: Conversion) -> None:
    """Keeps it as a plain attribute, which copies and pickles of the model have too."""
    setattr(model, _ATTRIBUTE, conversion)


def stored_bytes(model: nn.Module) -> int:
    """Of all parameters and buffers, each once."""
    tensors = {id(tensor): tensor for tensor in _tensors(model)}
    return sum(tensor.nbytes for tensor in tensors.values())


def _tensors(model: nn.Module) -> Iterable[torch.Tensor]:
    yield from model.parameters()
    yield from model.buffers()
