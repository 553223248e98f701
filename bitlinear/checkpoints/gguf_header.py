"""The header of a GGUF file: names, shapes, types and places of tensors, as ggml's docs/gguf.md describes it.

The package gguf trusts what a header counts: a damaged number there costs it memory and time without end. Here every
count is compared with the bytes that are left before anything is made of it.
"""

import struct
from pathlib import Path
from typing import BinaryIO, NamedTuple

from bitlinear.checkpoints.contents import CheckpointError

MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_MOST_DIMENSIONS = 4
_DEEPEST = 4
"""Arrays in arrays of the metadata."""
_WIDTHS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""Bytes of a value in the metadata, by its type."""
_UINT32, _TEXT, _ARRAY = 4, 8, 9
_ALIGNMENT = "general.alignment"


class TensorInfo(NamedTuple):
    """What the header says of a tensor."""

    name: str
    shape: tuple[int, ...]
    """Outermost dimension first; the file has them the other way round."""
    kind: int
    """`enum ggml_type`"""
    start: int
    """Its first byte in the file."""


def read_header(path: Path) -> dict[str, TensorInfo]:
    """By name. Raises CheckpointError for a header that is damaged, big-endian, or of another version."""
    try:
        with path.open("rb") as file:
            return _tensors(_Cursor(path, file))
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error


class _Cursor:
    """A place in a file of known size, which it does not leave."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path, self._file = path, file
        self._size = path.stat().st_size
        self.at = 0

    def number(self, code: str) -> int:
        """The next number, in the code of `struct`."""
        number: int = struct.unpack(f"<{code}", self._take(struct.calcsize(code)))[0]
        return number

    def text(self) -> str:
        """The next text, after its length."""
        try:
            return self._take(self.number("Q")).decode()
        except UnicodeDecodeError as error:
            raise self.error("a name in the header is no UTF-8") from error

    def skip(self, size: int) -> None:
        """Goes on by so many bytes."""
        self._require(size)
        self._file.seek(size, 1)
        self.at += size

    def error(self, what: str) -> CheckpointError:
        """To be raised."""
        return CheckpointError(f"{self._path}: {what}")

    def _take(self, size: int) -> bytes:
        self._require(size)
        taken = self._file.read(size)
        self.at += size
        return taken

    def _require(self, size: int) -> None:
        if size > self._size - self.at:
            raise self.error(
                f"its header goes on for {size} bytes at byte {self.at}, and the file ends at {self._size}"
            )


def _tensors(cursor: _Cursor) -> dict[str, TensorInfo]:
    cursor.skip(len(MAGIC))
    version = cursor.number("I")
    if version not in _VERSIONS:
        endian = " in big-endian order" if version & 0xFFFF == 0 and version else ""
        raise cursor.error(f"GGUF of version {version}{endian}; versions 2 and 3 in little-endian order are read")
    tensors, values = cursor.number("Q"), cursor.number("Q")
    alignment = 32
    for _ in range(values):
        name, kind = cursor.text(), cursor.number("I")
        if name == _ALIGNMENT and kind == _UINT32:
            alignment = cursor.number("I")
        else:
            _skip_value(cursor, kind)
    if not alignment or alignment & (alignment - 1):
        raise cursor.error(f"{_ALIGNMENT} is {alignment}; it has to be a power of two")
    found: dict[str, TensorInfo] = {}
    for _ in range(tensors):
        tensor = _tensor(cursor)
        if tensor.name in found:
            raise cursor.error(f"the tensor {tensor.name!r} is there twice")
        found[tensor.name] = tensor
    start = -(-cursor.at // alignment) * alignment
    return {name: tensor._replace(start=start + tensor.start) for name, tensor in found.items()}


def _tensor(cursor: _Cursor) -> TensorInfo:
    name, dimensions = cursor.text(), cursor.number("I")
    if dimensions > _MOST_DIMENSIONS:
        raise cursor.error(f"the tensor {name!r} has {dimensions} dimensions; ggml has at most {_MOST_DIMENSIONS}")
    shape = tuple(cursor.number("Q") for _ in range(dimensions))
    return TensorInfo(name, shape[::-1], cursor.number("I"), cursor.number("Q"))


def _skip_value(cursor: _Cursor, kind: int, depth: int = 0) -> None:
    if kind in _WIDTHS:
        cursor.skip(_WIDTHS[kind])
    elif kind == _TEXT:
        cursor.skip(cursor.number("Q"))
    elif kind == _ARRAY and depth < _DEEPEST:
        inner, count = cursor.number("I"), cursor.number("Q")
        if inner in _WIDTHS:
            cursor.skip(count * _WIDTHS[inner])
        else:
            for _ in range(count):
                _skip_value(cursor, inner, depth + 1)
    else:
        raise cursor.error(f"the metadata has a value of type {kind}, or arrays in more than {_DEEPEST} arrays")
