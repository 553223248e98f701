"""Figures of speed: what stands in their axes, what their captions admit, and when they are refused."""

import math

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from harness import frames
from harness.errors import NothingMeasuredError
from harness.model import Ceilings
from harness.show.plots import draw, svg
from harness.show.plots.implementations import foremost
from harness.show.plots.landscape import break_even, landscape
from harness.show.plots.roofline import roofline
from harness.show.plots.scaling import freed, over_threads, over_tokens
from harness.show.plots.speed import speedup
from tests.harness.data.factories import make_case, make_record, make_records, make_run, write_run

BYTES = {"linear-fp32": 4.0, "linear-bf16": 2.0, "native": 0.25}
CEILINGS = Ceilings(device="cpu", threads=2, memory_bandwidth=2e10, cache_bandwidth=1e11, float32=1e11, int8=8e11)


def record(name, seconds, turn=0, **params):
    """A case whose work is known; `seconds` is its latency."""
    case = make_case(name, **params)
    n, k, m = (int(case.params[key]) for key in "nkm")
    moved = 4 * m * (n + k)
    facts = {"operations": 2 * m * n * k, "activation_bytes": moved, "ideal_bytes": n * k // 4 + moved}
    return make_record(case, turn, {"latency": seconds, "weight_bytes": n * k * BYTES.get(name, 1.0)}, facts=facts)


def stored(path, records, ceilings=()):
    return write_run(path / "run", msgspec.structs.replace(make_run(), ceilings=tuple(ceilings)), records)


def pair(tokens, gain=4.0, rounds=2, **params):
    """A baseline and `native`, which is `gain` times as fast, with each number of tokens."""
    speeds = {"linear-fp32": 1.0, "native": gain}
    return [
        record(name, 1e-3 * m * (1 + turn / 100) / speed, turn, m=m, **params)
        for turn in range(rounds)
        for m in tokens
        for name, speed in speeds.items()
    ]


def rows(axes):
    return [text.get_text() for text in axes.get_yticklabels()]


def words(axes):
    return [text.get_text() for text in axes.texts]


def lines(axes):
    """The points of every line that has a marker, in the order drawn."""
    return [line.get_xydata() for line in axes.lines if line.get_marker() not in ("None", "", None)]


def test_the_ideal_is_drawn_where_a_call_waits_for_bytes(tmp_path):
    figure = draw("speed-up", [stored(tmp_path, pair((1, 2048)), [CEILINGS])]).figure

    few, many = figure.axes
    assert rows(few) == ["native", "ideal (bytes)"]
    assert rows(many) == ["native"]
    bytes_of_baseline, least = (2560 * 2560 * each + 4 * 5120 for each in (4, 1 / 4))
    assert few.lines[-1].get_xdata()[0] == pytest.approx(math.log2(bytes_of_baseline / least))
    assert "left of the ridge" in figure.get_label()
    assert few.get_yticklabels()[0].get_fontweight() == "bold", "the winner is told by more than its colour"
    assert words(few)[0].startswith("4.00× ±")


def test_without_ceilings_few_tokens_decide_where_the_ideal_is_drawn(tmp_path):
    axes = speedup(frames.summary(stored(tmp_path, pair((1, 32, 33))))).figure.axes
    assert [len(rows(ax)) for ax in axes] == [2, 2, 1]


def test_a_far_ideal_leaves_the_bars_readable(tmp_path):
    figure = speedup(frames.summary(stored(tmp_path, pair((1,), gain=1.1)))).figure
    (axes,) = figure.axes
    assert axes.get_xlim()[1] < 1
    assert axes.lines[-1].get_marker() == ">", "it goes on beyond the axis"
    assert words(axes)[-1] == "15.8×"


def test_the_only_baseline_is_the_baseline_and_one_round_has_no_interval(tmp_path):
    records = [record(name, seconds) for name, seconds in (("linear-bf16", 1e-3), ("native", 2e-3), ("<$x^2$>", 3e-3))]
    figure = speedup(frames.summary(stored(tmp_path, records))).figure

    assert figure.get_suptitle() == "Speed-up over linear-bf16"
    assert words(figure.axes[0])[:2] == ["0.500× ±?", "0.333× ±?"]
    assert figure.axes[0].get_yticklabels()[0].get_fontweight() == "normal", "the baseline wins"
    assert "has no interval" in figure.get_label()
    assert "$x^2$" in svg.inline(figure, "x")


@given(
    arrays(float, st.tuples(st.integers(1, 5), st.integers(1, 5)), elements=st.sampled_from([-1.0, 0.0, 1.0, np.nan]))
)
def test_break_even_lies_between_neighbours_on_different_sides(values):
    found = set(break_even(pd.DataFrame(values)))

    height, width = values.shape
    for row in range(height):
        for column in range(width):
            for below, beside, edge in (
                (1, 0, ((column, row + 1), (column + 1, row + 1))),
                (0, 1, ((column + 1, row), (column + 1, row + 1))),
            ):
                if row + below < height and column + beside < width:
                    ends = values[row, column], values[row + below, column + beside]
                    assert (edge in found) == (min(ends) < 0 <= max(ends)), "NaN has no side"


def test_the_landscape_says_what_the_speed_up_is_and_where_it_breaks_even(tmp_path):
    shapes = {(640, 2560): 0.5, (2560, 2560): 2.0, (2560, 6912): 4.0}
    records = [one for (n, k), gain in shapes.items() for one in pair((1,), gain, n=n, k=k)]
    figure = landscape(frames.summary(stored(tmp_path, records))).figure

    (axes,) = figure.axes
    assert axes.get_title(loc="left") == "M = 1, w1.58a8"
    assert dict(zip([tuple(text.get_position()) for text in axes.texts], words(axes), strict=True)) == {
        (0.5, 0.5): "0.500×",
        (0.5, 1.5): "2.00×",
        (1.5, 1.5): "4.00×",
    }
    assert "heavy line" in figure.get_label()
    with pytest.raises(NothingMeasuredError, match="speed-up of int8 over linear-fp32 at two shapes"):
        landscape(frames.summary(stored(tmp_path, records)), implementation="int8")
    with pytest.raises(NothingMeasuredError, match="two shapes of the same M"):
        landscape(frames.summary(stored(tmp_path, pair((1, 2)))))


def test_tokens_share_a_panel_and_threads_do_not(tmp_path):
    records = [one for threads in (1, 2) for one in pair((1, 8, 64), threads=threads)]
    figure = over_tokens(frames.summary(stored(tmp_path, records))).figure

    assert [ax.get_title(loc="left") for ax in figure.axes] == [
        f"2560 × 2560, w1.58a8, threads {count}" for count in (1, 2)
    ]
    native = lines(figure.axes[0])[1]
    assert native[:, 0].tolist() == [1, 8, 64]
    assert native[:, 1] == pytest.approx(np.array([1, 8, 64]) * 1e-3 / 4, rel=0.02)
    assert "no interval" not in figure.get_label()
    with pytest.raises(NothingMeasuredError, match="two numbers of tokens"):
        over_tokens(frames.summary(stored(tmp_path, pair((1,)))))


def test_threads_are_held_against_the_fewest_of_them(tmp_path):
    records = [
        record("native", seconds * (1 + turn / 50), turn, threads=threads)
        for threads, seconds in ((1, 8e-3), (2, 4e-3), (4, 3e-3))
        for turn in range(3)
    ]
    figure = over_threads(frames.summary(stored(tmp_path, records))).figure

    (axes,) = figure.axes
    assert axes.get_ylabel() == "speed-up over 1 thread"
    ideal, line = axes.lines[0].get_xydata(), lines(axes)[-1]
    assert ideal.tolist() == [[1, 1], [4, 4]]
    assert line[:, 1] == pytest.approx([1, 2, 8 / 3])
    band = axes.collections[0].get_paths()[0].vertices
    assert set(band[band[:, 0] == 1][:, 1]) == {1.0}, "nothing is uncertain about the ratio to itself"
    with pytest.raises(NothingMeasuredError, match="two numbers of threads"):
        over_threads(frames.summary(stored(tmp_path, pair((1, 2)))))


def test_one_round_has_lines_without_bands_and_says_so(tmp_path):
    figure = over_tokens(frames.summary(stored(tmp_path, pair((1, 8), rounds=1)))).figure
    assert "no interval" in figure.get_label()


def test_a_title_loses_the_words_of_one_param_only():
    points = [(1, 1), (1, 16), (8, 1)]
    names = [f"a/implementation=x/k=32/m={m}/n=64/scheme=w4a8/threads={threads}" for m, threads in points]
    cases = pd.DataFrame({"run": "one", "case": names, "contest": names, "title": "of before"})
    alike = ["64 × 32, w4a8, threads 1", "64 × 32, w4a8, threads 16", "64 × 32, w4a8, threads 1"]
    assert list(freed(cases, "m")["title"]) == alike
    assert list(freed(cases, "threads")["title"]) == [f"64 × 32, M = {m}, w4a8" for m, _ in points]
    assert freed(cases, "n", "k")["title"][2] == "M = 8, w4a8, threads 1"
    names = ["a/implementation=x/m=1", "b/implementation=x/m=8"]
    bare = pd.DataFrame({"run": "one", "case": names, "contest": names, "title": ""})
    assert list(freed(bare, "m")["title"]) == ["a", "b"]


def test_roofs_points_and_the_arrow_between_them(tmp_path):
    run = stored(tmp_path, pair((1,)), [CEILINGS])
    figure = roofline(frames.summary(run), frames.ceilings(run)).figure

    (axes,) = figure.axes
    said = " ".join(words(axes))
    assert "linear-fp32 → native: 15.8× the intensity, 4.00× as fast" in said
    assert all(name in said for name in ("memory 20.0 GB/s", "cache 100 GB/s", "int8 800", "float32 100"))
    operations = 2 * 2560 * 2560
    baseline, native = (points[0] for points in lines(axes))
    assert baseline == pytest.approx([operations / (4 * 2560**2 + 20480), operations / 1.005e-3 / 1e9], rel=0.01)
    assert native[1] / baseline[1] == pytest.approx(4)
    memory = next(line for line in axes.lines if line.get_linestyle() == "-" and len(set(line.get_ydata())) == 2)
    assert memory.get_ydata() / memory.get_xdata() == pytest.approx([20, 20])
    assert memory.get_xdata()[1] == pytest.approx(40), "it ends at the ridge"


def test_without_ceilings_there_is_no_roofline(tmp_path):
    with pytest.raises(NothingMeasuredError, match="ceilings of the machine"):
        draw("roofline", [stored(tmp_path, pair((1,)))])


def test_many_implementations_are_thinned_and_the_caption_says_so(tmp_path):
    names = ("linear-fp32", *(f"candidate{number}" for number in range(30)))
    records = make_records(implementations=names, tokens=(1, 8), rounds=1, samples=1, troubles=False, shapes=((8, 8),))
    cases = frames.wide(frames.summary(stored(tmp_path, records)), "latency")
    kept, note = foremost(cases)
    assert kept["implementation"].nunique() == 10
    assert "linear-fp32" in set(kept["implementation"])
    assert "9 fastest of 30" in note
    for name in ("speed-up", "latency-over-tokens"):
        assert "fastest of 30" in draw(name, [tmp_path / "run"]).figure.get_label()
