"""Figures of doubt and of many runs: every mark where the data says, and words for what was left out."""

import msgspec
import numpy as np
import pytest

from harness import frames
from harness.errors import NothingMeasuredError
from harness.model import Aim, Measurement
from harness.show.plots import draw, svg
from harness.show.plots.noise import precision, timings_in_order
from tests.harness.data.factories import make_case, make_record, make_records, make_run, write_run


def blocked(name, turn, values, blocks, voided=()):
    taken = (Measurement("latency", tuple(values), 1, tuple(blocks)),)
    record = make_record(make_case(name), turn, {"latency": 1.0})
    return msgspec.structs.replace(record, measurements=taken, voided=voided)


def marks(axes, marker):
    lines = [line for line in axes.lines if line.get_marker() == marker]
    return [point for line in lines for point in line.get_xydata().tolist()]


def dots(axes):
    return sum(len(patch.get_path().vertices) // 2 for patch in axes.patches)


def test_voided_samples_have_their_own_mark_and_outliers_lie_at_the_edge(tmp_path):
    steady = [1.0, 1.001, 0.999, 1.0] * 8
    records = [
        blocked("int8", 0, [*steady, 5.0], [*range(32), 32]),
        blocked("int8", 1, [9.0, 9.0, *steady], [0, 0, *range(1, 33)], voided=(0,)),
    ]
    figure = timings_in_order(frames.samples(write_run(tmp_path, None, records))).figure
    (axes,) = figure.axes

    assert dots(axes) == 64
    assert len(marks(axes, "^")) == 1
    assert [round(place, 1) for place, _ in marks(axes, "x")] == [1.0, 1.0], "at the start of the second round"
    assert "half a lane is 2 %" in axes.get_xlabel(), "what was voided does not set the scale"
    assert [text.get_text() for text in axes.get_yticklabels()] == ["int8"]


def test_many_samples_are_thinned_and_the_caption_says_so(tmp_path):
    records = make_records(samples=200, rounds=2, tokens=(1,), shapes=((2560, 2560),), troubles=False)
    figure = draw("timings-in-order", [write_run(tmp_path, None, records)]).figure

    shown = dots(figure.axes[0]) + sum(len(marks(figure.axes[0], marker)) for marker in "^v")
    assert shown <= 200
    assert f"Shown: {shown} of 2000 samples" in figure.get_label()
    assert len(svg.inline(figure, "a")) < 40_000


def test_precision_is_sorted_and_says_how_each_ended(tmp_path):
    records = [
        make_record(make_case(name), turn, {"latency": [1e-3 * (1 + factor * turn)] * 4})
        for turn in range(4)
        for name, factor in (("linear-fp32", 0.0), ("eager", 0.3), ("int8", 0.001))
    ]
    run = write_run(tmp_path, make_run(aims={"quick": Aim("linear-fp32", 0.02, 4)}), records)
    summary = frames.summary(run)
    (axes,) = precision(summary).figure.axes

    assert [text.get_text() for text in axes.get_yticklabels()] == ["int8", "eager"], "the baseline does not vary"
    assert [text.get_text() for text in axes.texts] == ["converged 4/16", "unstable 4/16"]
    width = summary[(summary["implementation"] == "eager") & (summary["metric"] == "latency")]["precision"].iloc[0]
    assert marks(axes, "X") == [[pytest.approx(100 * np.expm1(width)), 1]]
    with pytest.raises(NothingMeasuredError, match="two rounds"):
        precision(frames.summary(write_run(tmp_path / "one", None, make_records(rounds=1))))


def days(directory, count, **params):
    runs = []
    for day in range(count):
        header = make_run(run_id=f"day-{day}", commit="" if day == 1 else f"{day}abcdef0123")
        header = msgspec.structs.replace(header, started=f"2026-01-0{day + 1}T00:00:00Z")
        records = make_records(slowdown={"int8": 1 + 0.5 * day}, troubles=False, rounds=2, samples=2, **params)
        runs.append(write_run(directory / str(day), header, records))
    return runs


def test_history_is_in_order_and_what_changed_most_comes_first(tmp_path):
    runs = days(tmp_path, 3)
    figure = draw("history", runs[::-1]).figure

    assert len(figure.axes) == 12
    assert "12 of 20 cases" in figure.get_label()
    first = figure.axes[0]
    assert first.get_title(loc="left").startswith("int8\n")
    (line,) = (line for line in first.lines if line.get_marker() not in ("None", ""))
    assert line.get_ydata() / line.get_ydata()[0] == pytest.approx([1, 1.5, 2])
    names = [text.get_text() for text in figure.axes[-1].get_xticklabels()]
    assert names == ["0abcdef", "2026-01-02", "2abcdef"]


def test_two_runs_are_no_history(tmp_path):
    with pytest.raises(NothingMeasuredError, match="3 runs"):
        draw("history", days(tmp_path, 2, tokens=(1,)))


@pytest.mark.parametrize("name", ["timings", "timings-in-order", "precision", "history"])
def test_a_name_is_no_formula(name, tmp_path):
    runs = []
    for day in range(3):
        header = msgspec.structs.replace(make_run(run_id=f"r{day}"), started=f"2026-01-0{day + 1}T00:00:00Z")
        records = [
            make_record(make_case("pkg:$x$", note="$y_{$"), turn, {"latency": [1e-3 * (1 + turn / 9)] * 3})
            for turn in range(3)
        ]
        runs.append(write_run(tmp_path / str(day), header, records))
    assert "$x$" in svg.inline(draw(name, runs).figure, "a")
