"""The header of a GGUF file: names, shapes and types of its tensors, and what it says of experts.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. The reader of the package `gguf` believes every
count in a file, and a damaged one takes all memory; so only its table of types is used.
"""

import math
import struct
from pathlib import Path
from typing import BinaryIO

from harness.errors import UsageError
from harness.model.whole_model import WholeModel
from suites.models.tensors import FileTensor, model_of

MAGIC = b"GGUF"
VERSIONS = (2, 3)
STRING, ARRAY = 8, 9
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
"""The format's types of metadata, as `struct` writes them."""
MOST_DIMENSIONS = 8
DEFAULT_ALIGNMENT = 32
FLOATS = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}

Value = int | float | bool | str | None
"""Of metadata; None for a list, which says nothing of weights."""


def read_model(path: Path) -> WholeModel:
    """Its products. Raises UsageError for a file that is cut off, and for types of tensors that are not known here."""
    try:
        from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
    except ImportError as error:
        raise UsageError(
            f"{path} is read with the package gguf, which is not installed here: pip install 'bitlinear-bench[models]'"
        ) from error
    sizes = {int(kind): (kind.name, *GGML_QUANT_SIZES[kind]) for kind in GGMLQuantizationType}
    size = path.stat().st_size
    with path.open("rb") as file:
        header = _Header(file, path, size)
        metadata, tensors = header.read()
        if unknown := sorted({kind for _, _, kind, _ in tensors} - sizes.keys()):
            raise UsageError(f"{path} holds tensors of types that are not known here: {', '.join(map(str, unknown))}")
        found = []
        alignment = _whole(metadata, "general.alignment") or DEFAULT_ALIGNMENT
        data = -(-file.tell() // alignment) * alignment
        for name, shape, kind, offset in tensors:
            dtype, block, block_bytes = sizes[kind]
            stored = math.prod(shape) // block * block_bytes
            if data + offset + stored > size:
                raise header.cut_off(f"{name} ends at byte {data + offset + stored}")
            is_float = dtype not in ("I8", "I16", "I32", "I64")
            found.append(FileTensor(name, shape, FLOATS.get(dtype, dtype), stored, is_float))
    architecture = str(metadata.get("general.architecture"))
    used = _whole(metadata, f"{architecture}.expert_used_count")
    return model_of(str(path), found, used, _head(found, metadata, architecture))


def _whole(metadata: dict[str, Value], key: str) -> int:
    """The number of a key; 0 where it is not there, or is none above 0."""
    value = metadata.get(key)
    return value if isinstance(value, int) and value > 0 else 0


def _head(tensors: list[FileTensor], metadata: dict[str, Value], architecture: str) -> FileTensor | None:
    """The embedding, if it is the head too: llama.cpp takes it for that where a file has none."""
    by_name = {tensor.name: tensor for tensor in tensors}
    is_encoder = "bert" in architecture or f"{architecture}.pooling_type" in metadata or "encoder" in architecture
    return None if "output.weight" in by_name or is_encoder else by_name.get("token_embd.weight")


class _Header:
    """Reads front to back, and never more than the file holds."""

    def __init__(self, file: BinaryIO, path: Path, size: int) -> None:
        self._file, self._path, self._size = file, path, size

    def cut_off(self, what: str) -> UsageError:
        return UsageError(f"{self._path} is cut off or damaged: {what}, and the file has {self._size} bytes")

    def read(self) -> tuple[dict[str, Value], list[tuple[str, tuple[int, ...], int, int]]]:
        """Metadata by key, and of each tensor its name, shape, type and place."""
        if self._file.read(4) != MAGIC:
            raise UsageError(f"{self._path} is no GGUF file: it does not begin with {MAGIC.decode()}")
        version = self._number("I")
        if version not in VERSIONS:
            raise UsageError(f"{self._path} is GGUF of version {version}; read are the versions 2 and 3, little-endian")
        tensors, pairs = self._number("Q"), self._number("Q")
        metadata: dict[str, Value] = {}
        for _ in range(pairs):
            key = self._text()
            metadata[key] = self._value(self._number("I"))
        return metadata, [self._tensor() for _ in range(tensors)]

    def _tensor(self) -> tuple[str, tuple[int, ...], int, int]:
        name, dimensions = self._text(), self._number("I")
        if dimensions > MOST_DIMENSIONS:
            raise self.cut_off(f"the tensor {name[:60]!r} has {dimensions} dimensions")
        sides = [self._number("Q") for _ in range(dimensions)]
        return name, tuple(reversed(sides)), self._number("I"), self._number("Q")

    def _value(self, kind: int) -> Value:
        if kind == STRING:
            return self._text()
        if kind == ARRAY:
            self._skip_list(self._number("I"), self._number("Q"))
            return None
        if kind not in SCALARS:
            raise self.cut_off(f"there is metadata of type {kind}")
        value: Value = struct.unpack(f"<{SCALARS[kind]}", self._take(struct.calcsize(f"<{SCALARS[kind]}")))[0]
        return value

    def _skip_list(self, kind: int, count: int) -> None:
        if kind in SCALARS:
            self._skip(count * struct.calcsize(f"<{SCALARS[kind]}"))
        elif kind == STRING:
            for _ in range(count):  # each takes bytes of the file, so a count that lies ends with it
                self._skip(self._number("Q"))
        else:
            raise self.cut_off(f"there is a list of type {kind}")

    def _text(self) -> str:
        return self._take(self._number("Q")).decode(errors="replace")

    def _number(self, form: str) -> int:
        return int(struct.unpack(f"<{form}", self._take(struct.calcsize(f"<{form}")))[0])

    def _take(self, count: int) -> bytes:
        self._require(count)
        return self._file.read(count)

    def _skip(self, count: int) -> None:
        self._require(count)
        self._file.seek(count, 1)

    def _require(self, count: int) -> None:
        if self._file.tell() + count > self._size:
            raise self.cut_off(f"its header goes on to byte {self._file.tell() + count}")
