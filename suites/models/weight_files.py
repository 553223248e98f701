"""Files of weights: the tensors that their headers list. No weight is read."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from bitlinear.checkpoints.contents import CheckpointError
from bitlinear.checkpoints.gguf_header import read_header
from bitlinear.checkpoints.safetensors_file import SafetensorsCheckpoint
from harness.errors import UsageError
from harness.model.whole_model import WholeModel
from suites.models.tensors import FileTensor, model_of

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
"""Of one value, by the name of its dtype in safetensors."""
FLOATS = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
WHOLE = ("I8", "I16", "I32", "I64", "U8", "U16", "U32", "U64", "BOOL")


def read_safetensors(files: Sequence[Path], name: str) -> WholeModel:
    """Of one file, or of those that a model was split into. Raises UsageError for what the library cannot read."""
    try:
        entries = SafetensorsCheckpoint(files[0], files).entries.values()
    except CheckpointError as error:
        raise UsageError(str(error)) from error
    if unknown := sorted({entry.format for entry in entries} - BITS.keys()):
        raise UsageError(f"{name} holds dtypes that are not known here: {', '.join(unknown)}")
    return model_of(name, [_tensor(one.name, one.shape, one.format, BITS[one.format] / 8) for one in entries])


def read_gguf(path: Path) -> WholeModel:
    """Its model. Raises UsageError for a file that is cut off, and for types of tensors that are not known here."""
    try:
        from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
    except ImportError as error:
        raise UsageError(f"{path} needs the package gguf: pip install 'bitlinear-bench[models]'") from error
    blocks = {int(kind): (kind.name, *GGML_QUANT_SIZES[kind]) for kind in GGMLQuantizationType}
    try:
        tensors, metadata = read_header(path)
    except CheckpointError as error:
        raise UsageError(str(error)) from error
    if unknown := sorted({tensor.kind for tensor in tensors.values()} - blocks.keys()):
        raise UsageError(f"{path} holds tensors of types that are not known here: {', '.join(map(str, unknown))}")
    found, size = [], path.stat().st_size
    for name, shape, kind, start in tensors.values():
        dtype, values, block_bytes = blocks[kind]
        found.append(_tensor(name, shape, dtype, block_bytes / values))
        if start + found[-1].stored_bytes > size:
            raise UsageError(f"{path}: {name!r} ends at byte {start + found[-1].stored_bytes}, and the file at {size}")
    used = metadata.get(f"{metadata.get('general.architecture')}.expert_used_count")
    return model_of(str(path), found, used if isinstance(used, int) else 0, _tied(found, metadata))


def _tensor(name: str, shape: tuple[int, ...], dtype: str, bytes_each: float) -> FileTensor:
    stored = int(math.prod(shape) * bytes_each)
    return FileTensor(name, shape, FLOATS.get(dtype, dtype), stored, is_float=dtype not in WHOLE)


def _tied(tensors: Sequence[FileTensor], metadata: Mapping[str, int | float | str]) -> FileTensor | None:
    """The embedding, if it is the head too: llama.cpp takes it for that where a file has none."""
    by_name = {tensor.name: tensor for tensor in tensors}
    architecture = str(metadata.get("general.architecture"))
    is_encoder = "bert" in architecture or "encoder" in architecture or f"{architecture}.pooling_type" in metadata
    return None if "output.weight" in by_name or is_encoder else by_name.get("token_embd.weight")
