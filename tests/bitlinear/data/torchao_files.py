"""Small checkpoints as torchao flattens them, written without torchao."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

INT8 = {"block_size": [1, 48], "dtype": {"_type": "torch.dtype", "_data": "float32"}, "act_quant_kwargs": None}
"""What the metadata says of an Int8Tensor with a scale for each row."""


def int8_parts():
    """Tensors of a weight `(8, 48)` that has the code -128."""
    codes = torch.randint(-128, 128, (8, 48), dtype=torch.int8)
    codes[3, 5] = -128
    return {"up._weight_qdata": codes, "up._weight_scale": torch.rand(8, 1), "up.bias": torch.randn(8)}


def write_flattened(path: Path, tensors, kind="Int8Tensor", data=INT8, **more):
    """A file with the weight `up.weight`, and the metadata of a plain `up.bias`; `more` replaces texts of it."""
    described = {"_type": kind, "_data": data, "_tensor_data_names": ["qdata", "scale"]}
    metadata = {
        "tensor_names": json.dumps(["up.weight", "up.bias"]),
        "up.weight": json.dumps(described),
        "up.bias": json.dumps({"_type": "Tensor"}),
    }
    save_file(tensors, path, {**metadata, **more})
    return path
