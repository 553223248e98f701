"""Figures: drawn from what is there, refused with a reason where it is not, the same bytes every time."""

import re
from xml.etree import ElementTree

import matplotlib
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import pyplot

from harness import frames
from harness.errors import NothingMeasuredError
from harness.model import Ceilings
from harness.show.plots import PLOTS, draw, svg
from harness.show.plots.theme import colours, markers
from harness.show.plots.tradeoff import pareto, tradeoff
from tests.harness.data.factories import make_case, make_error_records, make_record, make_records, make_run, write_run

OF_SPEED = ("speed-up", "latency-against-error", "memory", "timings")
OF_ERROR = ("sqnr-against-bits", "error-against-groups")
ONE_CONTEST = {"shapes": ((2560, 2560),), "tokens": (1,)}
SCHEMES = ("w1.58a8", "w4a8")
"""Two errors, between which there is something to trade."""


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("runs") / "quick", records=make_records(samples=4))


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """The least that there is to draw: two implementations in one contest."""
    records = make_records(implementations=("linear-fp32", "int8"), samples=2, troubles=False, **ONE_CONTEST)
    return write_run(tmp_path_factory.mktemp("runs") / "pair", records=records)


@pytest.fixture(scope="module")
def schemes(tmp_path_factory):
    records = make_records(samples=4, shapes=((2560, 2560),), schemes=SCHEMES)
    return write_run(tmp_path_factory.mktemp("runs") / "schemes", records=records)


@pytest.fixture(scope="module")
def error(tmp_path_factory):
    records = make_error_records(weight_bits=("w1", "w4"), groups=(1, 4), off=0.5)
    return write_run(tmp_path_factory.mktemp("runs") / "error", make_run(("error",), run_id="error"), records)


@pytest.mark.parametrize("name", [*OF_SPEED, *OF_ERROR])
def test_each_figure_is_drawn_where_its_data_is_and_refused_elsewhere(name, quick, schemes, error):
    present, absent = (quick, error) if name in OF_SPEED else (error, quick)
    present = schemes if name == "latency-against-error" else present

    figure = draw(name, [present]).figure
    assert figure.get_suptitle()
    assert figure.get_label().endswith(".")
    assert all(axes.get_title(loc="left") for axes in figure.axes)
    with pytest.raises(NothingMeasuredError, match="this figure needs"):
        draw(name, [absent])


@pytest.mark.parametrize("name", PLOTS)
def test_an_empty_run_draws_nothing(name, tmp_path):
    with pytest.raises(NothingMeasuredError, match="this figure needs"):
        draw(name, [write_run(tmp_path / "run", records=[])])


@pytest.mark.parametrize("name", ["speed-up", "sqnr-against-bits"])
def test_the_same_records_give_the_same_bytes(name, pair, error):
    run = pair if name in OF_SPEED else error
    one, other = (draw(name, [run]).figure for _ in range(2))
    assert svg.inline(one, "a") == svg.inline(other, "a")
    for kind in ("svg", "png", "pdf"):
        assert svg.render(one, kind) == svg.render(other, kind)


def test_inline_svg_is_accessible_and_takes_the_colour_of_the_page(quick):
    figure = draw("speed-up", [quick]).figure
    text = svg.inline(figure, "one")
    root = ElementTree.fromstring(text)

    namespace = "{http://www.w3.org/2000/svg}"
    title, description = root.find(f"{namespace}title"), root.find(f"{namespace}desc")
    assert (title.text, description.text) == (figure.get_suptitle(), figure.get_label())
    assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    assert "currentColor" in text
    assert "<text" in text, "text must stay text"
    assert not re.search(r"<!DOCTYPE|<\?xml|<metadata|<style|<script", text)
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert all(name.startswith("one-") for name in ids)
    assert set(re.findall(r'(?:url\(|href=")#([^)"]+)', text)) <= set(ids)


def test_drawing_leaves_no_trace_in_matplotlib(quick):
    before = dict(matplotlib.rcParams)
    draw("memory", [quick])
    assert dict(matplotlib.rcParams) == before
    assert not pyplot.get_fignums()


def test_many_contests_are_thinned_and_the_caption_says_so(tmp_path):
    records = make_records(tokens=range(1, 12), rounds=2, samples=3, troubles=False, shapes=((2560, 2560),))
    figure = draw("speed-up", [write_run(tmp_path / "run", records=records)]).figure

    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert len(titles) == 6
    assert "M = 1," in titles[0]
    assert "M = 11," in titles[-1]
    assert "6 of 11 contests" in figure.get_label()


def test_what_does_not_quantise_lies_in_a_named_band(schemes):
    axes = tradeoff(frames.summary(schemes)).figure.axes[0]
    assert "unquantised" in [text.get_text() for text in axes.texts]
    assert max(axes.get_yticks()) < axes.get_ylim()[1], "no tick in the band: it has no scale"


def test_marks_at_one_height_are_no_figure(tmp_path):
    """There is nothing to trade between implementations of one scheme."""
    with pytest.raises(NothingMeasuredError, match="all that quantise have the same"):
        draw("latency-against-error", [write_run(tmp_path / "one", records=make_records(samples=2, tokens=(1,)))])
    records = make_records(samples=2, tokens=(1,), shapes=((2560, 2560),), schemes=SCHEMES)
    records += make_records(samples=2, tokens=(8,), shapes=((2560, 2560),))
    figure = draw("latency-against-error", [write_run(tmp_path / "two", records=records)]).figure
    assert len(figure.axes) == 1, "only the contest in which errors differ"


def test_infinite_sqnr_and_unknown_intervals_can_be_drawn(tmp_path):
    values = {"latency": 1e-3, "error_sqnr": 8.0, "weight_bytes": 100}
    records = [
        make_record(make_case("linear-fp32"), values=values | {"error_sqnr": float("inf")}),
        make_record(make_case("eager"), values=values | {"latency": 2e-3}),
        make_record(make_case("int8"), values=values | {"error_sqnr": float("nan")}),
        make_record(make_case("packed"), values=values | {"error_sqnr": 9.0}),
    ]
    run = write_run(tmp_path / "run", records=records)
    for name in OF_SPEED:
        assert "NaN" not in svg.inline(draw(name, [run]).figure, "x")


@given(st.sets(st.text("abcdefgh-123", min_size=1), min_size=1, max_size=10))
def test_ten_implementations_have_ten_colours_and_markers(names):
    assert len(set(colours(names).values())) == len(names)
    assert len(set(markers(names).values())) == len(names)
    assert colours(names) == colours(sorted(names, reverse=True))


@given(st.sets(st.text("abcdefgh-123", min_size=1), min_size=11, max_size=30))
def test_beyond_ten_colour_and_marker_together_tell_them_apart(names):
    assert len({(colours(names)[name], markers(names)[name]) for name in names}) == len(names)


@given(st.lists(st.tuples(st.floats(1, 9), st.floats(1, 9)), min_size=1, max_size=20))
def test_pareto_front_is_what_nothing_beats(points):
    cost, gain = np.array(points).T
    front = pareto(cost, gain)

    for position in range(len(points)):
        beaten = any(
            cost[i] <= cost[position] and gain[i] >= gain[position] and (cost[i], gain[i]) != tuple(points[position])
            for i in front
        )
        assert beaten != (points[position] in [points[i] for i in front])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", OF_SPEED)
def test_a_single_bar_leaves_room_for_the_titles(name, tmp_path):
    schemes = SCHEMES if name == "latency-against-error" else SCHEMES[:1]
    pair = make_records(
        implementations=("linear-fp32", "int8"), tokens=(1,), schemes=schemes, samples=2, troubles=False
    )
    figure = draw(name, [write_run(tmp_path / "small", records=pair)]).figure
    assert svg.render(figure, "png")


@pytest.mark.parametrize("name", [*OF_SPEED, "roofline", "precision", "timings-in-order", "agreement"])
def test_names_are_no_formulas(name, tmp_path):
    """As a formula this one is an error."""
    odd = r"$\nonsense{$ <b>"
    both = ("linear-fp32", odd)
    records = make_records(implementations=both, schemes=SCHEMES, samples=2, troubles=False, **ONE_CONTEST)
    run = msgspec.structs.replace(make_run(), ceilings=(Ceilings(threads=2, memory_bandwidth=3e10, int8=8e11),))
    facts = {"activation_bytes": 10, "ideal_bytes": 100}
    records = [msgspec.structs.replace(record, facts=record.facts | facts) for record in records]
    text = svg.inline(draw(name, [write_run(tmp_path / "run", run, records)]).figure, "a")
    assert r"$\nonsense{$ &lt;b&gt;" in text


def test_a_notebook_shows_the_picture_without_being_told_how(pair):
    drawing = draw("speed-up", [pair])
    assert drawing._repr_png_() == drawing.figure._repr_png_()
    assert drawing._repr_png_().startswith(b"\x89PNG")
