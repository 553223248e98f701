"""Small checkpoints, written by the packages that define their formats."""

import json
from pathlib import Path

import gguf
import numpy as np
import torch
from safetensors.torch import save_file

K = 512
KINDS = {name: gguf.GGMLQuantizationType[name] for name in ("Q4_0", "Q8_0", "TQ1_0", "TQ2_0")}


def quantised(kind, rows=5, seed=0):
    """Bytes of a random weight with a block of zeros, as the package quantises it."""
    weight = np.random.default_rng(seed).standard_normal((rows, K)).astype(np.float32)
    weight[0, :256] = 0
    return gguf.quantize(weight, KINDS[kind])


def write_gguf(path: Path, tensors, metadata=()):
    """`tensors`: name to (array, type or None for that of the array)."""
    writer = gguf.GGUFWriter(path, "llama")
    for name, value in metadata:
        writer.add_array(name, value)
    for name, (array, kind) in tensors.items():
        writer.add_tensor(name, array, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_bitnet(folder: Path, tensors, **config):
    """A folder with `model.safetensors`, and a `config.json` that says BitNet."""
    folder.mkdir(exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"quantization_config": {"quant_method": "bitnet", **config}}))
    return folder


def ternary(rows, columns=48):
    """Random codes, int8."""
    return torch.randint(-1, 2, (rows, columns), dtype=torch.int8)
