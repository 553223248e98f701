"""The header of a GGUF file, as ggml's docs/gguf.md describes it: tensors by name, shape, type and place, and metadata.

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
_CODES = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
"""Of a number in the metadata, by its type, in the code of `struct`."""
_TEXT, _ARRAY = 8, 9
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


class Header(NamedTuple):
    """What the file says before its data."""

    tensors: dict[str, TensorInfo]
    """By name."""
    metadata: dict[str, int | float | str]
    """Numbers and texts by key; arrays are left out."""


def read_header(path: Path) -> Header:
    """The whole header. Raises CheckpointError for a header that is damaged, big-endian, or of another version."""
    try:
        with path.open("rb") as file:
            return _header(_Cursor(path, file))
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error


class _Cursor:
    """A place in a file of known size, which it does not leave."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path, self._file = path, file
        self._size = path.stat().st_size
        self.at = 0

    def number(self, code: str) -> int:
        """The next whole number, in the code of `struct`."""
        return int(self.value(code))

    def value(self, code: str) -> int | float:
        """The next number of any kind."""
        value: int | float = struct.unpack(f"<{code}", self._take(struct.calcsize(f"<{code}")))[0]
        return value

    def text(self, errors: str = "strict") -> str:
        """The next text, after its length; `errors` as of `bytes.decode`."""
        try:
            return self._take(self.number("Q")).decode(errors=errors)
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


def _header(cursor: _Cursor) -> Header:
    cursor.skip(len(MAGIC))
    version = cursor.number("I")
    if version not in _VERSIONS:
        endian = " in big-endian order" if version & 0xFFFF == 0 and version else ""
        raise cursor.error(f"GGUF of version {version}{endian}; versions 2 and 3 in little-endian order are read")
    tensors, values = cursor.number("Q"), cursor.number("Q")
    metadata: dict[str, int | float | str] = {}
    for _ in range(values):
        name, kind = cursor.text(), cursor.number("I")
        if kind in _CODES:
            metadata[name] = cursor.value(_CODES[kind])
        elif kind == _TEXT:
            metadata[name] = cursor.text(errors="replace")
        else:
            _skip_array(cursor, kind)
    alignment = metadata.get(_ALIGNMENT, 32)
    if not isinstance(alignment, int) or alignment < 1 or alignment & (alignment - 1):
        raise cursor.error(f"{_ALIGNMENT} is {alignment}; it has to be a power of two")
    found: dict[str, TensorInfo] = {}
    for _ in range(tensors):
        tensor = _tensor(cursor)
        if tensor.name in found:
            raise cursor.error(f"the tensor {tensor.name!r} is there twice")
        found[tensor.name] = tensor
    start = -(-cursor.at // alignment) * alignment
    placed = {name: tensor._replace(start=start + tensor.start) for name, tensor in found.items()}
    return Header(placed, metadata)


def _tensor(cursor: _Cursor) -> TensorInfo:
    name, dimensions = cursor.text(), cursor.number("I")
    if dimensions > _MOST_DIMENSIONS:
        raise cursor.error(f"the tensor {name!r} has {dimensions} dimensions; ggml has at most {_MOST_DIMENSIONS}")
    shape = tuple(cursor.number("Q") for _ in range(dimensions))
    return TensorInfo(name, shape[::-1], cursor.number("I"), cursor.number("Q"))


def _skip_array(cursor: _Cursor, kind: int, depth: int = 0) -> None:
    if kind != _ARRAY or depth == _DEEPEST:
        raise cursor.error(f"the metadata has a value of type {kind}, or arrays in more than {_DEEPEST} arrays")
    inner, count = cursor.number("I"), cursor.number("Q")
    if inner in _CODES:
        cursor.skip(count * struct.calcsize(f"<{_CODES[inner]}"))
        return
    for _ in range(count):
        if inner == _TEXT:
            cursor.skip(cursor.number("Q"))
        else:
            _skip_array(cursor, inner, depth + 1)
