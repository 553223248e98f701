"""Outputs of other people's libraries, recorded in `tests/golden`, and layers of the same weights."""

from pathlib import Path

import numpy as np
import torch

from bitlinear import BitLinear

GOLDEN = Path(__file__).parents[2] / "golden"


def golden(name):
    with np.load(GOLDEN / f"{name}.npz") as arrays:
        return {key: torch.from_numpy(np.array(arrays[key])) for key in arrays}


def layer_of(weight, scheme):
    layer = BitLinear(*weight.T.shape, scheme.groups, weight_bits=scheme.weight_bits, norm=scheme.norm)
    layer.weight.data.copy_(weight)
    return layer


def relative_error(reference, y):
    return ((reference - y).norm() / reference.norm()).item()
