"""model: how long a step of a whole model takes, from each of its layers once, and beside that a decoder run whole."""

from collections.abc import Iterator
from dataclasses import replace

import psutil

from bitlinear.scheme import Scheme
from harness.model import Budget, Params
from harness.model.suite import Suite
from harness.model.whole_model import WholeModel
from suites import axes
from suites.whole.decoder import Decoder, NoDecoderError

MEMORY_SHARE = 1 / 16
"""The part of the machine's memory that the weights of a decoder run whole may take at 16 bits."""
DECODING = 32
"""Up to so many tokens are one each of so many sequences; more are the prompt of one."""


def cases(model: WholeModel, point: Params) -> Iterator[Params]:
    """Params of the cases of `model` at one point of the axes: each distinct shape once, then parts of its decoder.

    `rest` is a step of all blocks less their products: attention, norms and head. `decoder` is a step with them, of as
    many blocks as MEMORY_SHARE holds; where these are not all, there is a `rest` of as many. Raises ValueError for a
    scheme whose groups do not divide the input features of a layer.
    """
    common = {name: value for name, value in point.items() if name != "context"}
    if point["m"] == 0:
        raise ValueError("m=0; a step of a model has one token or more")
    shapes = dict.fromkeys((one.out_features, one.in_features) for one in model.products if not one.is_head)
    for n, k in shapes:
        layer = axes.resolve({**common, "shape": f"{n}x{k}", "cache": "stream", "groups": 0})
        yield layer | {"scheme": point["scheme"]}  # as asked, so that all cases of a step say one scheme
    try:
        decoder = Decoder.of(model)
    except NoDecoderError:
        return
    part = replace(decoder, blocks=blocks_held(decoder))
    for kind, sized in dict.fromkeys((("rest", decoder), ("rest", part), ("decoder", part))):
        yield {"part": kind, "model": model.name, **sized.params(), **point}


def blocks_held(decoder: Decoder) -> int:
    """How many of its blocks are run whole: all, or those that MEMORY_SHARE holds, one at least."""
    bytes_a_block = 2 * sum(n * k for n, k in decoder.products)
    return min(decoder.blocks, max(1, int(psutil.virtual_memory().total * MEMORY_SHARE / bytes_a_block)))


def facts(params: Params) -> Params:
    """Of a layer as everywhere; of a decoder the parts of the scheme alone: its work has no one ceiling."""
    if "part" not in params:
        return axes.facts(params)
    scheme = Scheme.parse(str(params["scheme"]))
    return {"weight_bits": scheme.weight_bits, "activation_bits": scheme.activation_bits}


SUITE = Suite(
    name="model",
    summary="tokens a second of a whole model (--model): each of its layers once, and a decoder run whole beside them",
    axes=(
        axes.tokens(1),
        axes.schemes("w1.58a8-nonorm"),
        axes.contexts(256),
        axes.dtypes("float32"),
        axes.DEVICE,
        axes.threads(),
    ),
    metrics=("latency", "first_call", "prepare", "weight_bytes", "bits_per_weight", "ring_bytes", "agreement_sqnr"),
    budget=Budget(rounds=3, seconds=0.6, wall=100.0),
    workload="suites.workloads.decoding.part:part_of_model",
    resolve=lambda point: point,
    facts=facts,
    implementations=("linear-bf16", "native"),
    baseline="linear-bf16",
    probed_by=("part", *axes.PROBED_BY),
    of_model=cases,
    default_model="bitnet-2b4t",
    by_baseline=lambda params: params.get("part") == "rest",
)
