"""Layers of distinct weights, so many that no cache holds them: as a model has them when it decodes."""

import copy
from collections.abc import Callable, Sequence
from time import perf_counter

import psutil
import torch
from torch import nn

from harness.worker.ceilings import cache_sizes
from suites.workloads.layer.copies import Call, why_no_copy
from suites.workloads.layer.rotation import Layer, hidden_bytes, weights

CACHES = 2
"""A ring is so many times as large as all caches together that its threads can fill."""
UNKNOWN = 32 << 20
"""Bytes taken for the caches where the system does not tell: as large as most are."""
MEMORY_SHARE = 1 / 32
"""The part of the machine's memory that one contestant's ring may take."""
MOST_LAYERS = 128
MOST_SECONDS = 20.0
"""A ring may take so long to build, compilation included."""
GAINS = 2
"""Powers of two, from 1 on, by which the weights of neighbours in a ring differ."""


def ring_of(
    first: nn.Module, build: Callable[[float], nn.Module], call: Call, gains: int = GAINS
) -> tuple[list[Layer], str]:
    """A ring that begins with `first`, and a warning if it is smaller than it should be.

    `build` makes a layer, ready to be called, whose weight is the problem's times a power of two: such weights are
    distinct and their outputs known exactly without computing them, because every floating-point step scales with them.
    Of what does not scale so, `gains` is 1, and the weights are equal. A ring needs distinct memory, not another
    quantisation: once there is a layer of every gain, the rest are copies, which are called once by `call`. An op that
    cannot be copied is built for every layer.
    """
    wanted = int(CACHES * _cache_bytes(first))
    cap = int(psutil.virtual_memory().total * MEMORY_SHARE)
    layers, begun = [Layer(first)], perf_counter()
    limit, no_copy = "", None
    while len(layers) < 2 or ring_bytes(layers) < wanted:
        if len(layers) >= 2 and (limit := _limit(layers, cap, perf_counter() - begun, no_copy or "")):
            break
        alike = len(layers) % gains
        if no_copy is None and len(layers) >= gains:
            no_copy = why_no_copy(first, call)
        if no_copy == "":
            op = copy.deepcopy(layers[alike].op)
            call(op)
        else:
            op = build(2.0**alike)
        layers.append(Layer(op, 2.0**alike))
    return layers, limit and (
        f"its ring of weights is {ring_bytes(layers) >> 20} MiB and not {wanted >> 20}, {CACHES} times the caches,"
        f" because {limit}: calls may find weights in the cache"
    )


def ring_bytes(layers: Sequence[Layer]) -> int:
    """Bytes behind the weights of all layers, shared ones once: layers that share their weights are no ring."""
    tensors = [tensor for layer in layers for tensor in weights(layer.op) if tensor.numel()]
    hidden = sum(hidden_bytes(layer.op) for layer in layers)
    return hidden + sum({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}.values())


def _cache_bytes(op: nn.Module) -> int:
    device = next((tensor.device.type for tensor in (*op.parameters(), *op.buffers())), "cpu")
    return sum(cache_sizes(device, torch.get_num_threads())) or UNKNOWN


def _limit(layers: Sequence[Layer], cap: int, seconds: float, no_copy: str) -> str:
    """What keeps a ring from growing on, or nothing."""
    size = ring_bytes(layers)
    if size + size // len(layers) > cap:
        return f"{cap >> 20} MiB are a thirty-second of the memory; use a machine with more"
    if len(layers) >= MOST_LAYERS:
        return f"it has {MOST_LAYERS} layers; choose a larger shape"
    if seconds > MOST_SECONDS:
        why = f", layer by layer because {no_copy}" if no_copy else ""
        return f"building it took {MOST_SECONDS:g} s{why}; choose a smaller shape or a faster build"
    return ""
