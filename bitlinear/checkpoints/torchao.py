"""Quantised models of torchao in safetensors, as torchao flattens them and transformers saves them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from bitlinear.checkpoints.contents import CheckpointError, StoredCodes, StoredTensor
from bitlinear.checkpoints.safetensors_file import SafetensorsCheckpoint, metadata_of
from bitlinear.checkpoints.torchao_metadata import TorchaoWeight, described, part
from bitlinear.scheme import Scheme

_SCALES = ("F32", "F16", "BF16")


def torchao_weights(files: Sequence[Path]) -> dict[str, TorchaoWeight] | None:
    """Those that the metadata of the files describes, or None where torchao did not flatten them.

    Raises CheckpointError for metadata that is damaged, and for files that describe a weight in two ways.
    """
    found: dict[str, TorchaoWeight] | None = None
    for file in files:
        try:
            here = described(metadata_of(file))
        except ValueError as error:
            raise error if isinstance(error, CheckpointError) else CheckpointError(f"{file}: {error}") from error
        for name, weight in (here or {}).items():
            if found and found.get(name, weight) != weight:
                raise CheckpointError(f"{file}: {name!r} is described otherwise than in another file")
        if here is not None:
            found = {**(found or {}), **here}
    return found


class TorchaoCheckpoint(SafetensorsCheckpoint):
    """A model of torchao. `codes` reads Int8Tensor and IntxUnpackedToInt8Tensor, where their zero points are 0.

    `values` of such a weight are what its `dequantize()` returns. The tensors that it is made of, such as
    `up._weight_qdata`, are entries as well. A weight of another class is no entry; asked for, it says why.
    """

    def __init__(self, path: Path, files: Sequence[Path], weights: Mapping[str, TorchaoWeight]) -> None:
        super().__init__(path, files)
        self._weights = weights
        for name, weight in weights.items():
            stored = self.entries.get(part(name, "qdata"))
            if name in self.entries:
                raise self.error(f"{name!r} is a tensor, and the metadata makes a {weight.kind} of it")
            if stored and weight.reason is None:  # else it is in another file of the model, or cannot be read
                label = f"{weight.kind} int{weight.code_bits}"
                self.entries[name] = StoredTensor(name, stored.shape, label, True)

    def _entry(self, name: str) -> StoredTensor:
        weight = self._weights.get(name)
        if weight and weight.reason and name not in self.entries:
            raise self.error(f"{name!r} is a {weight.kind} of torchao, which is not read: {weight.reason}")
        return super()._entry(name)

    def _codes(self, entry: StoredTensor) -> StoredCodes:
        if entry.name not in self._weights:
            return super()._codes(entry)
        weight = self._weights[entry.name]
        blocks = self._blocks(entry, weight)
        self._require_plain(entry, blocks)
        scale = self._part(entry, "scale", _SCALES, blocks).float()
        codes = self._part(entry, "qdata", ("I8",), entry.shape)
        scale = scale if blocks[0] == 1 else scale.repeat_interleave(weight.block[0], 0)
        scheme = Scheme(self._scheme_bits(entry, weight, codes), weight.activation_bits, blocks[1], norm=False)
        grouped = torch.unflatten(codes, 1, (blocks[1], -1))
        return StoredCodes(entry.name, grouped, scale, scheme, weight.contract, self._bias(entry))

    def _values(self, entry: StoredTensor) -> Tensor:
        if entry.name not in self._weights:
            return super()._values(entry)
        return self.codes(entry.name).dequantised().to(self._weights[entry.name].dtype)

    def _lowest(self, read: StoredCodes) -> int:
        return -128 if read.scheme.weight_bits == 8 else super()._lowest(read)

    def _blocks(self, entry: StoredTensor, weight: TorchaoWeight) -> tuple[int, ...]:
        """How many there are in each dimension: the shape of the scale."""
        sizes = weight.block
        if len(sizes) != 2 or any(total % size for total, size in zip(entry.shape, sizes, strict=True)):
            raise self.error(f"{entry.name!r} has shape {entry.shape}, which blocks of {sizes} do not divide")
        return tuple(total // size for total, size in zip(entry.shape, sizes, strict=True))

    def _require_plain(self, entry: StoredTensor, blocks: tuple[int, ...]) -> None:
        """Nothing but codes and scales takes part in the product."""
        if part(entry.name, "act_pre_scale") in self.entries:
            raise self.error(f"{entry.name!r} scales each input feature (act_pre_scale), which no scheme does")
        if part(entry.name, "zero_point") in self.entries:
            zero = self._part(entry, "zero_point", ("I8", *_SCALES), blocks)
            if bool((zero != 0).any()):
                raise self.error(f"{entry.name!r} has zero points that are not 0; the codes of a scheme are symmetric")

    def _part(self, entry: StoredTensor, suffix: str, formats: Sequence[str], shape: tuple[int, ...]) -> Tensor:
        stored = self._entry(part(entry.name, suffix))
        if stored.format not in formats or stored.shape != shape:
            wanted = f"{' or '.join(formats)} {shape}"
            raise self.error(f"{stored.name!r} is {stored.format} {stored.shape}; {entry.name!r} wants {wanted}")
        return self.values(stored.name)

    def _scheme_bits(self, entry: StoredTensor, weight: TorchaoWeight, codes: Tensor) -> int:
        """The least that hold the codes: one more than theirs if the lowest, that has no opposite, is among them.

        Eight bits stay eight: there is no scheme of nine, and layers of eight bits take -128 as well.
        """
        least, most = (int(end) for end in torch.aminmax(codes))
        end = 2 ** (weight.code_bits - 1)
        if least < -end or most >= end:
            raise self.error(
                f"{entry.name!r} holds the code {least if least < -end else most}, and {entry.format} has none"
            )
        symmetric = least > -end and weight.code_bits > 1
        return min(8, weight.code_bits if symmetric else weight.code_bits + 1)
