"""GGUF, the files of ggml and llama.cpp."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bitlinear.checkpoints.contents import Checkpoint, StoredCodes, StoredTensor
from bitlinear.checkpoints.gguf_formats import BLOCKS, FLOATS, UNREADABLE
from bitlinear.checkpoints.gguf_header import read_header
from bitlinear.scheme import Scheme


class GgufCheckpoint(Checkpoint):
    """A GGUF file. `codes` reads Q8_0, Q4_0, TQ1_0 and TQ2_0, `values` whatever the package gguf decodes.

    llama.cpp permutes rows of the weights of queries and keys of some models; they come as they are.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._size = path.stat().st_size
        self._found = read_header(path).tensors
        self.entries = {
            name: StoredTensor(name, found.shape, _format(found.kind), found.kind in BLOCKS)
            for name, found in self._found.items()
        }
        for name, found in self._found.items():
            if size := _sizes(found.kind):
                self._extent(self.entries[name], *size)

    def _codes(self, entry: StoredTensor) -> StoredCodes:
        layout = BLOCKS.get(self._kind(entry))
        if layout is None:
            raise self.error(f"{entry.name!r} is {entry.format}, which is not read as codes; read its values")
        blocks = self._bytes(entry, layout.block, layout.dtype.itemsize).view(layout.dtype)
        blocks = blocks.reshape(entry.shape[0], -1)
        return StoredCodes(
            entry.name,
            torch.from_numpy(layout.codes(blocks)),
            torch.from_numpy(blocks["scale"].astype(np.float32)),
            Scheme(layout.weight_bits, 8, blocks.shape[1], norm=False),
            layout.contract,
            self._bias(entry),
        )

    def _values(self, entry: StoredTensor) -> Tensor:
        kind = self._kind(entry)
        if kind in FLOATS:
            _, code, dtype = FLOATS[kind]
            width = np.dtype(code).itemsize
            raw = self._bytes(entry, 1, width).view(code).astype(code[1:], copy=False)
            return torch.from_numpy(raw).view(dtype).reshape(entry.shape)
        return self._decoded(entry, kind)

    def _decoded(self, entry: StoredTensor, kind: int) -> Tensor:
        """By the package gguf."""
        try:
            import gguf
        except ImportError as error:
            raise self.error(
                f"{entry.name!r} is {entry.format}; its values need the package gguf: "
                f"pip install 'bitlinear-bench[checkpoints]'"
            ) from error
        known = {int(one): one for one in gguf.GGMLQuantizationType}
        if kind not in known:
            raise self.error(f"{entry.name!r} is {entry.format}, which the package gguf does not know")
        raw = self._bytes(entry, *gguf.GGML_QUANT_SIZES[known[kind]])
        try:
            with np.errstate(all="ignore"):  # of scales that are not finite, whose values are not finite either
                rows: Any = gguf.dequantize(raw.reshape(*entry.shape[:-1], -1), known[kind])
        except NotImplementedError as error:
            raise self.error(
                f"{entry.name!r} is {known[kind].name}, which the package gguf lists and does not decode"
            ) from error
        return torch.from_numpy(rows)

    def _kind(self, entry: StoredTensor) -> int:
        kind = self._found[entry.name].kind
        if kind in UNREADABLE:
            raise self.error(f"{entry.name!r} is not read: {UNREADABLE[kind]}")
        return kind

    def _bytes(self, entry: StoredTensor, block: int, size: int) -> npt.NDArray[np.uint8]:
        """Those of a tensor in blocks of `size` bytes; new memory."""
        start, count = self._extent(entry, block, size)
        try:
            raw = np.fromfile(self.path, np.uint8, count, offset=start)
        except OSError as error:
            raise self.error(f"it cannot be read: {error.strerror}") from error
        if len(raw) != count:
            raise self.error(f"{entry.name!r} ends too early: the file has become shorter")
        return raw

    def _extent(self, entry: StoredTensor, block: int, size: int) -> tuple[int, int]:
        """First byte and number of bytes, which the file has."""
        count = size
        for dimension in entry.shape[:-1]:
            count *= dimension
        features = entry.shape[-1] if entry.shape else 1
        if features % block:
            raise self.error(f"{entry.name!r} has rows of {features}, and blocks of {entry.format} have {block}")
        count *= features // block
        start = self._found[entry.name].start
        if start + count > self._size:
            raise self.error(f"{entry.name!r} ends at byte {start + count}, and the file at {self._size}")
        return start, count


def _sizes(kind: int) -> tuple[int, int] | None:
    """Weights and bytes of a block, of the formats that are known here."""
    if kind in BLOCKS:
        return BLOCKS[kind].block, BLOCKS[kind].dtype.itemsize
    return (1, np.dtype(FLOATS[kind][1]).itemsize) if kind in FLOATS else None


def _format(kind: int) -> str:
    if kind in BLOCKS:
        return BLOCKS[kind].name
    return FLOATS[kind][0] if kind in FLOATS else f"ggml's type {kind}"
