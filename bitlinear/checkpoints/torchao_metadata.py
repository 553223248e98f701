"""How torchao describes its tensors in the metadata of a safetensors file: JSON, a text for each tensor.

`flatten_tensor_state_dict` of torchao writes it, and `save_pretrained` of transformers through it. A weight `up.weight`
lies in the tensors `up._weight_qdata`, `up._weight_scale` and so on. Nothing of torchao is needed to read either.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from bitlinear.scheme import FULL_PRECISION

_NAMES = "tensor_names"
_CODED = ("Int8Tensor", "IntxUnpackedToInt8Tensor")
_DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
_AS_THEY_ARE = "activations as they are"


@dataclass(frozen=True)
class TorchaoWeight:
    """One tensor of a class of torchao, as the metadata has it."""

    kind: str
    """Name of the class."""
    reason: str | None = None
    """Why its codes cannot be read, if so; the rest then means nothing."""
    code_bits: int = 8
    """Its codes are whole numbers of so many bits in two's complement, each in a byte."""
    block: tuple[int, ...] = ()
    """Size of a block that has one scale, in every dimension."""
    dtype: torch.dtype = torch.float32
    """In which torchao dequantises it."""
    activation_bits: int = FULL_PRECISION
    """Of a scheme whose activations are quantised likewise; 16 also where no scheme does it as torchao does."""
    activations: str = _AS_THEY_ARE
    """How torchao quantises them, in words."""

    @property
    def contract(self) -> str:
        """The function that torchao computes."""
        rows = " x ".join(map(str, self.block))
        return f"{self.kind} of torchao: int{self.code_bits}, a scale for each block of {rows}; {self.activations}"


def described(metadata: Mapping[str, str]) -> dict[str, TorchaoWeight] | None:
    """Weights by name, without plain tensors; None for the metadata of a file that torchao did not flatten.

    Raises ValueError, in a line, for a description that is damaged.
    """
    if _NAMES not in metadata:
        return None
    names = _parsed(metadata[_NAMES], _NAMES, list)
    found = {}
    for name in names:
        if not isinstance(name, str) or name not in metadata:
            raise ValueError(f"its metadata lists the tensor {str(name)[:80]!r} and does not describe it")
        one = _parsed(metadata[name], name, dict)
        if one.get("_type") != "Tensor":
            found[name] = _weight(name, one)
    return found


def part(name: str, suffix: str) -> str:
    """The tensor of the file that holds an attribute of the weight `name`."""
    module, _, parameter = name.rpartition(".")
    return f"{module}._{parameter}_{suffix}"


def _weight(name: str, one: Mapping[str, Any]) -> TorchaoWeight:
    kind, data = one.get("_type"), one.get("_data")
    if (
        not isinstance(kind, str)
        or not re.fullmatch(r"\w{1,80}", kind)
        or not isinstance(data, dict)
        or "." not in name
    ):
        raise ValueError(f"its metadata describes {name!r} in a way that is not torchao's")
    if kind not in _CODED:
        return TorchaoWeight(kind, "it has zero points, floats or a kernel's own layout, and no plain codes")
    block, dtype = data.get("block_size"), _DTYPES.get(_inner(data.get("dtype"), "torch.dtype"))
    if not isinstance(block, list) or not all(type(size) is int and size > 0 for size in block) or dtype is None:
        raise ValueError(f"its metadata describes {name!r} with a block_size or dtype that is not torchao's")
    if kind == "Int8Tensor":
        return TorchaoWeight(kind, None, 8, tuple(block), dtype, *_int8_activations(one, data))
    match = re.fullmatch("int([1-8])", _inner(data.get("target_dtype"), "torch.dtype"))
    if match is None:
        raise ValueError(f"its metadata describes {name!r} with a target_dtype that is not torchao's")
    quantised = data.get("activation_quantization") is not None
    activations = "activations int8 with a scale and a zero point for each token" if quantised else _AS_THEY_ARE
    return TorchaoWeight(kind, None, int(match[1]), tuple(block), dtype, FULL_PRECISION, activations)


def _int8_activations(one: Mapping[str, Any], data: Mapping[str, Any]) -> tuple[int, str]:
    """Bits of the scheme, and words. Only a symmetric scale for each token is what a scheme has."""
    options = data.get("act_quant_kwargs")
    if options is None:
        return FULL_PRECISION, _AS_THEY_ARE
    fields = options.get("_data") if isinstance(options, dict) else None
    fields = fields if isinstance(fields, dict) else {}
    granularity = fields.get("granularity")
    by_token = isinstance(granularity, dict) and granularity.get("_type") == "PerRow"
    symmetric = _inner(fields.get("mapping_type"), "MappingType") == "SYMMETRIC"
    parts = one.get("_tensor_data_names")
    static = isinstance(parts, list) and "act_quant_scale" in parts
    if static or not by_token or not symmetric:
        return FULL_PRECISION, "activations int8 in a way that no scheme has"
    bits = 7 if fields.get("reduce_range") is True else 8
    top = 2 ** (bits - 1)
    return bits, f"activations int{bits} for each token, step max|x| / {top - 0.5}, clamped at {top - 1}"


def _inner(value: object, kind: str) -> str:
    """The text in `{"_type": kind, "_data": text}`, or an empty one."""
    text = value.get("_data") if isinstance(value, dict) and value.get("_type") == kind else None
    return text if isinstance(text, str) else ""


def _parsed(text: str, name: str, kind: type) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"its metadata of {name!r} is no JSON: {type(error).__name__}") from error
    if not isinstance(value, kind):
        raise ValueError(f"its metadata of {name!r} is no {kind.__name__}")
    return value
