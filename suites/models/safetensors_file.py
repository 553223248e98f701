"""The header of a safetensors file: names, shapes and dtypes. Nothing of the weights is read.

The format: https://huggingface.co/docs/safetensors/index#format
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec

from harness.errors import UsageError
from suites.models.tensors import FileTensor

LONGEST_HEADER = 100_000_000
"""Bytes, as the library itself allows: a longer one is a lie, and nothing is allocated for it."""
BITS = {
    name: bits
    for bits, names in {
        64: "F64 I64 U64",
        32: "F32 I32 U32",
        16: "F16 BF16 I16 U16",
        8: "F8_E4M3 F8_E5M2 F8_E8M0 I8 U8 BOOL",
        4: "F4",
    }.items()
    for name in names.split()
}
"""Of one value, by the format's name of its dtype."""
NAMES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}


class _Entry(msgspec.Struct):
    dtype: str
    shape: list[Annotated[int, msgspec.Meta(ge=0)]]
    data_offsets: tuple[int, int]


def read_tensors(path: Path) -> Iterator[FileTensor]:
    """Its tensors. Raises UsageError for a file that is cut off, or whose header does not fit its size."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = int.from_bytes(start, "little")
        if len(start) < 8 or length > min(size - 8, LONGEST_HEADER):
            raise UsageError(
                f"{path} is no safetensors file, or is cut off: it has {size} bytes, its header says {length}"
            )
        header = file.read(length)
    try:
        entries = msgspec.json.decode(header, type=dict[str, msgspec.Raw])
        entries.pop("__metadata__", None)
        found = {name: msgspec.json.decode(raw, type=_Entry) for name, raw in entries.items()}
    except msgspec.DecodeError as error:
        raise UsageError(f"{path} is no safetensors file: its header is not what the format says: {error}") from error
    if unknown := sorted({entry.dtype for entry in found.values()} - BITS.keys()):
        raise UsageError(f"{path} holds dtypes that are not known here: {', '.join(unknown)}")
    for name, entry in found.items():
        begin, end = entry.data_offsets
        wanted = math.prod(entry.shape) * BITS[entry.dtype] // 8
        if end - begin != wanted or not 0 <= begin <= end <= size - 8 - length:
            raise UsageError(
                f"{path} is cut off or damaged: {name} {entry.shape} of {entry.dtype} takes {wanted} bytes,"
                f" and its place is {begin} to {end} of {size - 8 - length}"
            )
        dtype = NAMES.get(entry.dtype, entry.dtype)
        yield FileTensor(
            name, tuple(entry.shape), dtype, wanted, is_float=entry.dtype[0] in "FB" and entry.dtype != "BOOL"
        )
