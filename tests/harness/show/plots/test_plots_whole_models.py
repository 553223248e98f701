"""Whole models, as drawn: who is on the front, whose speed is whose, and what layers cost alone."""

import math
import re

import msgspec
import pytest

from harness import frames
from harness.errors import NothingMeasuredError
from harness.model import Case, StoredRun
from harness.model.metrics import Exact, Paired
from harness.model.whole_model import Product, WholeModel
from harness.show import report
from harness.show.plots import draw
from harness.show.plots.whole_models.places import EVERY, Place, place_of
from harness.show.plots.whole_models.scores import scores
from harness.show.plots.whole_models.standing import Choice, standings
from tests.harness.data.factories import make_record, make_run

KL = Paired(name="kl_divergence", title="divergence", heading="KL", unit="nat", better="lower", tolerance=1e-4)
ACCURACY = Paired(name="trained_accuracy", heading="accuracy", unit="%", better="higher", tolerance=1.0)
EXACT = [Exact(name=name, unit="B", better="lower") for name in ("packed_bytes", "quantised_bytes")]
SQNR = Exact(name="output_sqnr", unit="dB", better="higher")
FULL, FOUR, TWO, PLAN = "w16a16-nonorm", "w4a8-nonorm", "w2a8-nonorm", "mine.json"
BITS = {FULL: 16, FOUR: 4, TWO: 2}


def scored(scheme, values, size, layers="all", sqnr=20.0, **facts):
    params = {"model": "toy", "scheme": scheme, "layers": layers}
    exact = {"packed_bytes": size, "quantised_bytes": size, "output_sqnr": sqnr}
    known = {"weight_bits": BITS[scheme]} if scheme in BITS else {}
    return make_record(
        Case.of("quality", "contract", params), 0, {"kl_divergence": values, **exact}, facts={**known, **facts}
    )


def run_of(*records, metrics=(KL, *EXACT, SQNR), name="toy-run", models=()):
    run = msgspec.structs.replace(make_run(["quality"], run_id=name), metrics=metrics, models=models)
    return StoredRun(run, tuple(records))


UNIFORM = (
    scored(FULL, (0.0, 0.0, 0.0), 1600),
    scored(FOUR, (0.10, 0.11, 0.12), 400),
    scored(TWO, (5.0, 5.1, 5.2), 200),
    scored("w3a8-nonorm", (6.0, 6.1, 6.2), 300, weight_bits=3),
)


def test_a_choice_is_dominated_only_where_cost_and_every_document_say_so():
    cheap, dear = (Choice(cost, cost, cost, (1.0, 2.0, 3.0)) for cost in (1.0, 2.0))
    worse = Choice(3.0, 3.0, 3.0, (1.5, 2.5, 3.5))
    scattered = Choice(4.0, 4.0, 4.0, (0.0, 2.5, 9.0))
    best = Choice(5.0, 5.0, 5.0, (0.1, 0.2, 0.3))
    unsure = Choice(2.5, 0.5, 9.0, (1.5, 2.5, 3.5))

    words = standings([cheap, dear, worse, scattered, best, unsure], "lower")
    assert words == ["front", "dominated", "dominated", "undecided", "front", "undecided"]


def test_the_frame_tells_the_front_and_the_figure_names_every_mark():
    figure, frame = draw("quality", run_of(*UNIFORM))

    assert dict(zip(frame["scheme"], frame["standing"], strict=True)) == {
        "w2a8": "front",
        "w3a8": "dominated",
        "w4a8": "front",
        "w16a16": "front",
    }
    assert list(frame["linear layers, packed (B)"]) == [200, 300, 400, 1600]
    (axes,) = figure.axes
    assert {text.get_text() for text in axes.texts} >= {"w2a8", "w3a8", "w4a8", "w16a16"}
    assert axes.yaxis_inverted(), "up answers better"


def test_names_cover_neither_each_other_nor_a_mark():
    close = [scored(f"w{bits}a8-nonorm", (1.0, 1.1 + bits / 1e4), 400 + bits, weight_bits=bits) for bits in range(2, 9)]
    figure, _ = draw("quality", run_of(*close))
    (axes,) = figure.axes
    boxes = [text.get_window_extent() for text in axes.texts if text.get_text()]
    assert len(boxes) > 3
    shared = [(one, other) for place, one in enumerate(boxes) for other in boxes[:place] if one.overlaps(other)]
    assert not shared


def layer(implementation, scheme, seconds):
    params = {"n": 10, "k": 10, "m": 1, "scheme": scheme, "cache": "stream", "device": "cpu", "threads": 1}
    facts = {"role": "baseline"} if implementation == "linear-bf16" else {}
    values = {"latency": (seconds,), "weight_bytes": 50}
    return [make_record(Case.of("model", implementation, params), turn, values, facts=facts) for turn in (0, 1, 2)]


def test_tokens_a_second_are_those_of_the_model_with_the_same_bytes():
    product = Product(
        name="layers.*.q", kind="Linear", out_features=10, in_features=10, count=8, used=8, dtype="bfloat16",
        stored_bytes=1600, read_bytes=1600, scheme_bytes={FOUR: 400},
    )  # fmt: skip
    timings = [*layer("linear-bf16", FOUR, 1e-3), *layer("native", FOUR, 2e-4)]
    own, strange = (
        run_of(*timings, metrics=(), name=f"speed-{size}", models=(WholeModel(name="x", products=(one,), others=()),))
        for size, one in ((400, product), (404, msgspec.structs.replace(product, scheme_bytes={FOUR: 404}, count=9)))
    )

    figure, frame = draw("quality", [run_of(*UNIFORM), own])
    timed = frame[frame["tokens/s"].notna()]
    assert dict(zip(timed["scheme"], timed["tokens/s"], strict=True)) == pytest.approx(
        {"native w4a8": 625.0, "linear-bf16": 125.0}
    )
    assert set(timed["standing"]) == {"front"}
    assert "of the products alone" in figure.axes[1].get_xlabel()
    assert draw("quality", [run_of(*UNIFORM), strange]).frame["tokens/s"].isna().all()


def test_what_layers_cost_alone_stands_beside_what_their_sqnr_makes_expect():
    cells = [
        scored(FOUR, (loss, loss), 100, f"*.layers.{block}.{kind}", sqnr)
        for block, kind, loss, sqnr in ((0, "q", 0.1, 20.0), (0, "up", 0.4, 20.0), (1, "q", 0.01, 30.0))
    ]
    figure, frame = draw("sensitivity", run_of(*cells))

    assert list(frame["layers"]) == ["q", "up", "q"]
    assert list(frame["block"]) == ["0", "0", "1"]
    assert list(frame["KL divergence (nat)"]) == pytest.approx([0.1, 0.4, 0.01])
    expected = frame["expected of the SQNR"]
    assert expected[0] == pytest.approx(expected[1])
    assert expected[0] == pytest.approx(10 * expected[2]), "10 dB are a tenth of the noise"
    assert math.prod(expected) == pytest.approx(0.1 * 0.4 * 0.01), "one factor for all"
    assert "not measured" in figure.get_label()
    with pytest.raises(NothingMeasuredError, match="quantised alone"):
        draw("sensitivity", run_of(*UNIFORM))


@pytest.mark.parametrize(
    ("pattern", "place"),
    [
        ("*.layers.3.self_attn.q_proj", Place("self_attn.q_proj", "3")),
        ("*.q_proj", Place("q_proj", EVERY)),
        ("*.layers.11.*", Place("every layer", "11")),
        ("*.1.key+*.1.query", Place("key + query", "1")),
        ("*.1.key+*.2.key", Place("key", EVERY)),
    ],
)
def test_a_pattern_has_a_kind_and_a_block(pattern, place):
    assert place_of(pattern) == place


@pytest.mark.filterwarnings("error")
def test_a_plan_is_drawn_as_its_rules_beside_the_schemes_of_its_model():
    rules = '{"*.q": "w2a8-nonorm", "*.up": "w4a8-nonorm"}'
    figure, frame = draw("plan", run_of(*UNIFORM, scored(PLAN, (0.2, 0.21, 0.22), 250, plan=rules)))

    assert list(zip(frame["layers"], frame["scheme"], strict=True)) == [("q", "w2a8"), ("up", "w4a8")]
    assert set(frame["whole plan, packed (B)"]) == {250}
    assert set(frame["standing"]) == {"front"}
    strip, beside = figure.axes
    assert [text.get_text() for text in strip.texts] == ["w2a8", "w4a8"]
    assert "mine" in {text.get_text() for text in beside.texts}
    with pytest.raises(NothingMeasuredError, match="a plan and a scheme"):
        draw("plan", run_of(*UNIFORM))


def trained(scheme, values):
    params = {"task": "digits", "training": "scratch", "scheme": scheme}
    facts = {"weight_bits": BITS[scheme], "compared_with": f"scheme={FULL}"}
    return make_record(Case.of("accuracy", "reference", params), 0, {"trained_accuracy": values}, facts=facts)


def test_trained_networks_have_their_seeds_their_spread_and_the_verdict():
    seeds = {FULL: (98.0, 97.0, 99.0), TWO: (90.0, 89.1, 91.2), FOUR: (98.0, 97.1, 99.0)}
    figure, frame = draw("training", run_of(*(trained(*one) for one in seeds.items()), metrics=(ACCURACY,)))

    assert list(frame["scheme"]) == ["w16a16", "w4a8", "w2a8"], "by bits"
    assert list(frame["verdict"])[1:] == ["ok", "worse"]
    assert frame["standard deviation of seeds"][0] == pytest.approx(1.0)
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_xticklabels()] == ["w16a16\n", "w4a8\nok", "w2a8\nworse"]


def test_scores_have_the_difference_from_full_precision_unit_by_unit():
    found = scores(*frames.views_of(run_of(*UNIFORM))).set_index("scheme")
    assert found.loc[FOUR, "difference"] == pytest.approx(0.11)
    assert found.loc[FOUR, "word"] == "worse"
    assert math.isnan(found.loc[FULL, "difference"])


def test_the_page_has_the_figure_with_its_words_and_its_numbers(tmp_path):
    report.write([run_of(*UNIFORM)], tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text("utf-8")
    assert '<section id="whole-models">' in page
    assert "<title id=" in page
    assert re.search(r"<desc id=[^>]*>Up answers better", page)
    assert "Data of Quality against bytes and speed" in page
