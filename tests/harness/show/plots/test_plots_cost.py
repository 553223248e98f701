"""What speed costs, as drawn: who is dominated and who undecided, and bars that add up to the bytes measured."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.collections import PathCollection

from harness import frames
from harness.show.plots import draw
from harness.show.plots.memory import _PARTS, memory, parts_of
from harness.show.plots.tradeoff import pareto, standings, tradeoff
from tests.harness.data.factories import make_case, make_record, make_run, write_run

DARK, LIGHT = "#1b1e22", "#ffffff"
FACTS = {"output_bytes": 100, "activation_bytes": 200, "ideal_bytes": 200 + 1000}
BYTES = {
    "weight_bytes": 1300.0,
    "code_bytes": 1250.0,
    "bits_per_weight": 2.08,
    "resident_bytes": 1400.0,
    "peak_forward_bytes": 300.0,
}


def timed(name, *seconds, sqnr=8.0, **params):
    """One record a round."""
    values = {"error_sqnr": sqnr, "weight_bytes": 100.0}
    return [
        make_record(make_case(name, **params), turn, {"latency": value} | (values if turn == 0 else {}))
        for turn, value in enumerate(seconds)
    ]


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_who_is_slower_beyond_its_interval_is_dominated_and_who_is_within_it_undecided(tmp_path):
    records = (
        timed("fast", 1.00, 1.01, 1.02)
        + timed("near", 1.01, 1.02, 1.03)
        + timed("slow", 2.0, 2.01, 2.02)
        + timed("exact", 3.0, 3.01, 3.02, sqnr=20.0)
    )
    axes = tradeoff(frames.summary(write_run(tmp_path, records=records))).figure.axes[0]

    assert set(texts(axes)) == {"fast", "exact", "?"}, "the front is named, and one mark is undecided"
    marks = [mark for mark in axes.collections if isinstance(mark, PathCollection)]
    assert [len(mark.get_facecolors()) for mark in marks].count(0) == 1, "one mark is hollow"


@given(st.lists(st.tuples(st.floats(1, 9), st.floats(0, 1), st.integers(1, 9)), min_size=1, max_size=12))
def test_the_front_is_paretos_and_only_a_faster_one_as_accurate_dominates(points):
    cost, half, gain = np.array(points, float).T
    words = standings(cost, cost - half, cost + half, gain)

    assert {place for place, word in enumerate(words) if word == "front"} == set(pareto(cost, gain))
    for place, word in enumerate(words):
        faster = cost + half < cost[place] - half[place]
        certain = bool((faster & (gain >= gain[place])).any())
        assert word == "front" or (word == "dominated") == certain
    unknown = np.full(len(cost), np.nan)
    assert "dominated" not in standings(cost, unknown, unknown, gain), "one round decides nothing"


def test_what_is_not_known_leads_nothing():
    cost, hi, gain = np.array([1.0, 2.0]), np.array([82.0, 2.1]), np.array([9.0, 8.0])
    assert standings(cost, cost**2 / hi, hi, gain) == ["undecided", "front"]


def test_an_error_within_the_metrics_tolerance_is_no_gain():
    nothing = np.full(2, np.nan)
    assert standings(np.array([1.0, 2.0]), nothing, nothing, np.array([8.0, 8.0001])) == ["front", "undecided"]


def test_every_device_has_a_panel_however_many_contests_the_first_has(tmp_path):
    errors = {"a": 8.0, "b": 9.0}
    records = [one for m in range(1, 10) for n in errors for one in timed(n, 1.0, 1.0, sqnr=errors[n], m=m)]
    records += [one for n in errors for one in timed(n, 0.1, 0.1, sqnr=errors[n], device="cuda")]
    figure = draw("latency-against-error", [write_run(tmp_path, records=records)]).figure
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert [("cuda" in title) for title in titles].count(True) == 1
    assert "4 of 10 contests" in figure.get_label()


def test_parts_of_a_bar_add_up_and_the_scheme_is_a_line(tmp_path):
    run = write_run(tmp_path, records=[make_record(values=BYTES, facts=FACTS)])
    axes = memory(frames.summary(run)).figure.axes[0]

    widths = [bar.get_width() for bar in axes.patches]
    assert widths == pytest.approx([size / 1024 for size in (1250, 50, 100, 100, 200)])
    assert sum(widths) == pytest.approx((BYTES["resident_bytes"] + BYTES["peak_forward_bytes"]) / 1024)
    assert axes.lines[0].get_xdata()[0] == pytest.approx(1000 / 1024)
    assert texts(axes) == ["2.08 bits per weight"]


def test_runs_from_before_codes_were_counted_show_the_stored_weights_whole(tmp_path):
    older = {name: value for name, value in BYTES.items() if name not in ("code_bytes", "bits_per_weight")}
    figure = memory(frames.summary(write_run(tmp_path, records=[make_record(values=older)]))).figure

    assert [bar.get_width() * 1024 for bar in figure.axes[0].patches] == pytest.approx([1300, 100, 300])
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert words == ["stored weights", "kept besides", "output and workspace"]


def test_the_line_of_the_scheme_is_that_of_whoever_knows_it(tmp_path):
    """The plain call that stores least knows no scheme."""
    small = make_record(make_case("plain"), values={"weight_bytes": 500.0})
    drawing = memory(frames.summary(write_run(tmp_path, records=[small, make_record(values=BYTES, facts=FACTS)])))
    assert drawing.figure.axes[0].lines[0].get_xdata()[0] == pytest.approx(1000 / 1024)
    assert drawing.frame["the scheme's bits alone (B)"].tolist() == [1000, 1000]


def test_a_peak_below_the_output_leaves_no_negative_workspace(tmp_path):
    """On Metal, whose allocator reports no peak."""
    values = {"weight_bytes": 1.0, "peak_forward_bytes": 60.0}
    cases = frames.wide(
        frames.summary(write_run(tmp_path, make_run(), [make_record(values=values, facts=FACTS)])),
        *BYTES,
    )
    part = parts_of(cases).iloc[0]
    assert (part["output"], part["workspace"]) == (60.0, 0.0)


@pytest.mark.parametrize("colour", sorted({colour for _, colour, _ in _PARTS.values()}))
def test_parts_stand_out_on_a_light_and_on_a_dark_page(colour):
    assert min(contrast(colour, page) for page in (LIGHT, DARK)) >= 3


def contrast(one, other):
    """Of two colours, as WCAG defines it."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour):
    parts = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return float(np.dot((0.2126, 0.7152, 0.0722), linear))
