"""A step of a whole model from its layers: sums by round, beside a decoder run whole."""

import math
from collections.abc import Mapping

import msgspec
import pytest

from harness.analysis.whole_model.step import Step, steps
from harness.model import Case, Record, StoredRun, Value
from harness.model.whole_model import OtherPart, Product, WholeModel
from harness.show.model.steps import blocks_of, untold
from tests.harness.data.factories import make_record, make_run

SHARED: dict[str, Value] = {"m": 1, "scheme": "w1.58a8-nonorm", "dtype": "float32", "device": "cpu", "threads": 2}
DECODER: dict[str, Value] = {"model": "toy", "sizes": "64", "context": 8, **SHARED}


def product(name: str, n: int, k: int, count: int, used: float | None = None, *, tied: bool = False) -> Product:
    size = 2 * count * n * k
    return Product(
        name=name,
        kind="Linear",
        out_features=n,
        in_features=k,
        count=count,
        used=count if used is None else used,
        dtype="bfloat16",
        stored_bytes=0 if tied else size,
        read_bytes=size,
    )


EMBEDDING = OtherPart(name="embed", kind="Embedding", why="looked up", count=1, parameters=6400, stored_bytes=12800)
TOY = WholeModel(
    name="toy",
    products=(
        product("layers.*.q_proj", 64, 64, 4),
        product("layers.*.o_proj", 64, 64, 4),
        product("layers.*.up_proj", 128, 64, 4),
        product("lm_head", 100, 64, 1, tied=True),
    ),
    others=(EMBEDDING,),
)


def layer(name: str, n: int, k: int, seconds: Mapping[int, float]) -> list[Record]:
    case = Case.of("model", name, {"n": n, "k": k, "cache": "stream", **SHARED})
    return [make_record(case, turn, {"latency": value, "weight_bytes": 1000}) for turn, value in seconds.items()]


def part(name: str, kind: str, blocks: int, seconds: Mapping[int, float]) -> list[Record]:
    case = Case.of("model", name, {"part": kind, "blocks": blocks, **DECODER})
    return [make_record(case, turn, {"latency": value}) for turn, value in seconds.items()]


def stored(*records: list[Record], models: tuple[WholeModel, ...] = (TOY,)) -> StoredRun:
    run = msgspec.structs.replace(make_run(["model"]), models=models)
    return StoredRun(run, tuple(record for some in records for record in some))


LAYERS = [
    *layer("native", 64, 64, {0: 1e-3, 1: 2e-3}),
    *layer("native", 128, 64, {0: 3e-3, 1: 3e-3}),
    *layer("linear-bf16", 64, 64, {0: 4e-3, 1: 8e-3}),
    *layer("linear-bf16", 128, 64, {0: 12e-3, 1: 12e-3}),
]


def by_name(found: list[Step]) -> dict[str, Step]:
    return {step.implementation: step for step in found}


def test_a_step_is_the_sum_over_products_and_all_else_round_by_round() -> None:
    run = stored(
        LAYERS,
        part("linear-bf16", "rest", 4, {0: 10e-3, 1: 10e-3}),
        part("linear-bf16", "rest", 2, {0: 6e-3, 1: 6e-3}),
        part("native", "decoder", 2, {0: 16e-3, 1: 40e-3}),
    )
    found = by_name(steps(run))
    native = found["native"]
    # q and o have one shape, measured once: 4 x (1 + 1 + 3) ms and 4 x (2 + 2 + 3) ms; the head is all else's.
    assert native.by_round == pytest.approx({0: 30e-3, 1: 38e-3})
    assert native.products.centre == pytest.approx(math.sqrt(20e-3 * 28e-3))
    assert native.rest
    assert native.rest.centre == pytest.approx(10e-3)
    assert (native.blocks, native.blocks_run) == (4, 2)
    # Of 2 blocks: 10 + 6 ms and 14 + 6 ms, beside 16 and 40 ms.
    assert native.deviation
    assert native.deviation.centre == pytest.approx(math.sqrt(1.0 * 2.0))
    assert native.rate[0] == pytest.approx(1 / math.sqrt(30e-3 * 38e-3))
    assert native.weight_bytes == 12 * 1000 + 2 * 6400, "a tied head is counted with its embedding"
    faster = native.over(found["linear-bf16"])
    assert faster.centre == pytest.approx(math.sqrt(90e-3 / 30e-3 * 122e-3 / 38e-3))
    assert found["linear-bf16"].is_baseline
    assert found["linear-bf16"].deviation is None


def test_without_a_decoder_only_products_are_known_and_the_page_says_so() -> None:
    quiet = [*layer("native", 64, 64, {0: 1e-3, 1: 1.01e-3}), *layer("native", 128, 64, {0: 3e-3, 1: 3e-3})]
    quiet += [*layer("linear-bf16", 64, 64, {0: 4e-3, 1: 4e-3}), *layer("linear-bf16", 128, 64, {0: 12e-3, 1: 12e-3})]
    (native, bf16) = steps(stored(quiet))
    assert (native.rest, native.decoder, native.blocks) == (None, None, 0)
    assert native.estimate == native.products
    sentence, *others = blocks_of([native, bf16], ())
    assert isinstance(sentence, str)
    assert sentence.startswith("For toy, one token on this machine: native, 49.9 tokens/s [")
    assert any("at most so many tokens" in " ".join(block.split()) for block in others if isinstance(block, str))


def test_a_layer_that_was_not_measured_leaves_no_step_and_experts_only_one_of_a_token() -> None:
    assert [step.implementation for step in steps(stored(LAYERS[:2], LAYERS[4:]))] == ["linear-bf16"]
    experts = msgspec.structs.replace(TOY, products=(product("experts.up_proj", 64, 64, 8, 2.0),))
    (one, _) = steps(stored(LAYERS, models=(experts,)))
    assert one.by_round == pytest.approx({0: 2e-3, 1: 4e-3}), "2 of 8 experts"
    many = [msgspec.structs.replace(r, case=Case.of("model", "native", {**r.case.params, "m": 8})) for r in LAYERS[:2]]
    assert steps(stored(many, models=(experts,))) == []
    (why,) = untold([experts], [])
    assert why.startswith("No tokens/s of toy are known: ")
    assert "experts" in why
    assert "experts" not in untold([TOY], [])[0]
    assert untold([experts], [one]) == []


def test_what_can_be_had_at_most_counts_the_head_as_it_was_run() -> None:
    scheme = str(SHARED["scheme"])
    own = {one.name: msgspec.structs.replace(one, scheme_bytes={scheme: 100}) for one in TOY.products}
    tied = msgspec.structs.replace(own["lm_head"], read_bytes=4 * 6400)  # the model has it in float32
    toy = msgspec.structs.replace(TOY, products=(*list(own.values())[:-1], tied))
    rest = part("linear-bf16", "rest", 4, {0: 10e-3, 1: 10e-3})
    (step, _) = steps(stored(LAYERS, rest, models=(toy,)))
    assert step.as_run.bytes_read(scheme)[0] == 3 * 100 + 2 * 6400
    (alone, _) = steps(stored(LAYERS, models=(toy,)))
    assert alone.as_run.bytes_read(scheme)[0] == 3 * 100, "no head was run"
    untied = msgspec.structs.replace(tied, stored_bytes=tied.read_bytes, scheme_bytes={scheme: 100})
    (step, _) = steps(
        stored(LAYERS, rest, models=(msgspec.structs.replace(toy, products=(untied, *toy.products[:3])),))
    )
    assert step.as_run.bytes_read(scheme)[0] == 3 * 100 + 2 * 6400


def test_a_run_without_models_has_no_steps() -> None:
    assert steps(stored(LAYERS, models=())) == []
