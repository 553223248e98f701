"""Accuracy, as drawn: misses of the prediction flagged, agreement apart, the worst channel, and how errors spread."""

import math
from itertools import pairwise
from statistics import NormalDist

import numpy as np
import pytest

from harness import frames
from harness.errors import NothingMeasuredError
from harness.model.metrics import ERROR_BINS, ERROR_EDGES, ERROR_WIDTH
from harness.show.plots import draw
from harness.show.plots.accuracy import agreement, sqnr_against_bits, worst_channels
from tests.harness.data.factories import make_case, make_error_records, make_record, write_run

NORMAL = [NormalDist().cdf(hi) - NormalDist().cdf(lo) for lo, hi in pairwise(ERROR_EDGES)]
SCHEME = {"weight_bits": 1.58, "activation_bits": 8, "groups": 1}


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def line(axes, label):
    return next(line for line in axes.lines if line.get_label() == label)


@pytest.mark.parametrize(("off", "flagged"), [(0.0, 0), (0.5, 18)])
def test_what_is_off_its_prediction_has_a_ring_and_is_counted(off, flagged, tmp_path):
    figure = sqnr_against_bits(frames.summary(write_run(tmp_path, records=make_error_records(off=off)))).figure
    words = "more than 0.3 dB off prediction"

    assert (words in legend(figure)) == bool(flagged)
    assert f"{flagged} of 36 points are more than 0.3 dB off" in figure.get_label()
    if flagged:
        assert len(line(figure.axes[1], words).get_xdata()) == flagged


def test_agreement_is_a_mark_a_contest_and_infinite_is_bit_exact(tmp_path):
    records = [
        make_record(make_case(name, m=m), values={"agreement_sqnr": value})
        for m in (1, 128)
        for name, value in (("$x$", 50.0 + m), ("exact", math.inf), ("near", 140.0))
    ]
    figure = agreement(frames.summary(write_run(tmp_path, records=records))).figure
    (axes,) = figure.axes

    assert [text.get_text() for text in axes.get_yticklabels()] == ["$x$", "near", "exact"]
    first = axes.lines[0].get_xdata()
    assert list(first[:1]) + list(first[2:]) == [51.0, 140.0]
    assert first[1] > 178.0 - 30.0
    assert "bit-exact" in [text.get_text().strip() for text in axes.texts]
    assert len(legend(figure)) == 2


@pytest.mark.filterwarnings("error")
def test_a_legend_of_long_titles_leaves_room_for_the_marks(tmp_path):
    records = [
        make_record(
            make_case("reference", m=m, distribution=f"of a name that is long {m}"), values={"agreement_sqnr": 130.0}
        )
        for m in range(1, 7)
    ]
    drawing = draw("agreement", write_run(tmp_path, records=records))
    assert drawing._repr_png_(), "matplotlib warns where the axes have no room"


def test_the_worst_channel_stands_beside_all_outputs(tmp_path):
    values = {"error_sqnr": 8.0, "error_worst_channel_sqnr": 5.0}
    one_token = [make_record(make_case(m=1), values=values, facts=SCHEME)]
    several = [make_record(make_case(m=16), values=values | {"error_sqnr": 8.5}, facts=SCHEME)]
    (axes,) = worst_channels(frames.summary(write_run(tmp_path / "several", records=one_token + several))).figure.axes

    assert line(axes, "all outputs").get_xdata() == [8.5]
    assert line(axes, "the worst channel").get_xdata() == [5.0]
    with pytest.raises(NothingMeasuredError, match="several tokens"):
        worst_channels(frames.summary(write_run(tmp_path / "one", records=one_token)))


def test_the_histogram_is_a_density_beside_the_normal_one(tmp_path):
    case = make_case("reference", suite="error", m=16)
    run = write_run(tmp_path, records=[make_record(case, values={"error_histogram": NORMAL}, facts=SCHEME)])
    figure = draw("error-shape", [run]).figure
    (axes,) = figure.axes

    (steps,) = axes.patches
    assert steps.get_data().edges == pytest.approx(ERROR_EDGES)
    assert steps.get_data().values * ERROR_WIDTH == pytest.approx(NORMAL)
    x, density = line(axes, "normal").get_data()
    at_middles = np.interp((np.array(ERROR_EDGES[:-1]) + ERROR_WIDTH / 2), x, density)
    assert np.abs(at_middles - steps.get_data().values)[1:-1].max() < 0.005
    assert legend(figure) == ["w1.58a8", "normal"]


def test_more_schemes_than_can_be_told_apart_are_thinned_and_the_caption_says_so(tmp_path):
    records = [
        make_record(
            make_case("reference", suite="error", m=16, scheme=f"w{bits}a8"),
            values={"error_histogram": [1 / ERROR_BINS] * ERROR_BINS},
            facts=SCHEME | {"weight_bits": bits},
        )
        for bits in range(2, 9)
    ]
    figure = draw("error-shape", [write_run(tmp_path, records=records)]).figure
    assert legend(figure) == ["w2a8", "w4a8", "w6a8", "w8a8", "normal"]
    assert "4 of 7 schemes" in figure.get_label()
