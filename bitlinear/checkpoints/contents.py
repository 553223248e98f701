"""What a checkpoint has, whatever its format: names with their shapes, and one tensor at a time."""

import difflib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from bitlinear.scheme import Scheme, largest_code


class CheckpointError(ValueError):
    """A file, or a tensor in it, that cannot be read; in one line, with the reason."""


@dataclass(frozen=True)
class StoredTensor:
    """A tensor of the file, not read yet."""

    name: str
    shape: tuple[int, ...]
    """Of its values, in torch's order: `(out_features, in_features)` for the weight of a linear layer."""
    format: str
    """What the file calls it: "TQ2_0", "BF16"."""
    has_codes: bool
    """Whether the file holds codes of a low-bit weight, and not values."""


@dataclass(frozen=True, eq=False)
class StoredCodes:
    """A low-bit weight `(N, K)` as it lies in the file, ready for `from_codes` of a layer.

    The scheme's activation bits are those that the format's own library computes with: 8, or 16 for torchao's weights
    whose activations are not quantised, or not as in a scheme. For activations that are not quantised take
    `dataclasses.replace(scheme, activation_bits=16)`.
    """

    name: str
    codes: Tensor
    """int8 `(N, G, Kg)`, symmetric; of 8 bits there may be -128 as well, which torchao has."""
    scale: Tensor
    """float32 `(1 or N, G)`, finite; it may be zero or negative."""
    scheme: Scheme
    contract: str
    """Which function the format's own library computes from these, in one line."""
    bias: Tensor | None = None
    """float32 `(N,)`, as it is to be added after rescaling, or None if the file has none beside the weight."""

    @property
    def group_size(self) -> int:
        """`Kg`: input features that share a scale."""
        return self.codes.shape[2]

    def dequantised(self) -> Tensor:
        """Codes times scale, float32 `(N, K)`; new memory."""
        return (self.codes * self.scale.unsqueeze(-1)).flatten(1)


class Checkpoint(ABC):
    """A file, or a folder of files. Opening it reads names and shapes; `codes` and `values` read one tensor.

    Nothing stays open in between, and nothing that is returned shares memory with a file. Sizes in a header
    are compared with the size of the file before memory is taken for them.
    """

    entries: Mapping[str, StoredTensor]

    def __init__(self, path: Path) -> None:
        self.path = path

    def codes(self, name: str) -> StoredCodes:
        """The weight `name`, with the bias that the file has beside it.

        Raises CheckpointError where there is none, where it has no codes or damaged ones, and for more than two
        dimensions.
        """
        entry = self._entry(name)
        if len(entry.shape) != 2 or 0 in entry.shape:
            raise self.error(f"{name!r} has shape {entry.shape}; the weight of a linear layer has two dimensions")
        read = self._codes(entry)
        least, most = (int(end) for end in torch.aminmax(read.codes))
        top = largest_code(read.scheme.weight_bits)
        lowest = self._lowest(read)
        if least < lowest or most > top:
            raise self.error(
                f"{name!r} holds the code {least if least < lowest else most}, and {entry.format} has none"
            )
        if not bool(read.scale.isfinite().all()):
            raise self.error(f"{name!r} has a scale that is not finite")
        return read

    def values(self, name: str) -> Tensor:
        """The tensor `name` in the dtype of the file, or in float32 where the format has no dtype in torch.

        Raises CheckpointError where there is none, for an empty one, and for a format that cannot be decoded.
        """
        entry = self._entry(name)
        if 0 in entry.shape:
            raise self.error(f"{name!r} has shape {entry.shape}: it is empty")
        return self._values(entry)

    def error(self, what: str) -> CheckpointError:
        """To be raised: `what` is wrong with this checkpoint."""
        return CheckpointError(f"{self.path}: {what}")

    @abstractmethod
    def _codes(self, entry: StoredTensor) -> StoredCodes:
        """Of an entry of two dimensions; codes and scale are not looked at yet."""

    @abstractmethod
    def _values(self, entry: StoredTensor) -> Tensor:
        """Of an entry that is not empty."""

    def _lowest(self, read: StoredCodes) -> int:
        """The least code that the format has."""
        return -largest_code(read.scheme.weight_bits)

    def _entry(self, name: str) -> StoredTensor:
        if name not in self.entries:
            near = difflib.get_close_matches(name, self.entries, 1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; it has {len(self.entries)} others"
            raise self.error(f"there is no tensor {name!r}{hint}")
        return self.entries[name]

    def _bias(self, weight: StoredTensor) -> Tensor | None:
        """What lies beside `weight` as its bias, float32 `(N,)`."""
        name = weight.name.removesuffix("weight") + "bias"
        if name not in self.entries or not weight.name.endswith("weight"):
            return None
        bias = self.values(name)
        if bias.shape != (weight.shape[0],) or not bias.is_floating_point():
            raise self.error(
                f"{name!r} has shape {tuple(bias.shape)}; a bias of {weight.name!r} has {weight.shape[:1]}"
            )
        return bias.float()
