"""The table below a figure is the frame that it shows, in units that suit, and short."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.show.plots import draw
from harness.show.report import figure_pool
from harness.show.report.drawn import ROWS, table_of
from tests.harness.data.factories import make_records, make_run, write_run


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("runs") / "quick", make_run(), make_records(samples=3))


def rows(frame):
    table = table_of(frame, "bars", "Bars")
    return [(heading.text, heading.unit, heading.words) for heading in table.headings], [
        row.cells for row in table.blocks[0]
    ]


def test_words_stay_words_and_numbers_have_four_digits_and_a_minus():
    frame = pd.DataFrame({"name": ["a", None], "SQNR (dB)": [-12.34567, 0.000123456], "tokens": [1, 128]})
    headings, found = rows(frame)
    assert headings == [("name", "", True), ("SQNR", "dB", False), ("tokens", "", False)]
    assert found == [("a", "−12.35", "1"), ("", "0.0001235", "128")]


def test_seconds_and_bytes_have_one_unit_that_suits_in_all_their_columns():
    frame = pd.DataFrame({"latency (s)": [123.456e-6, 4.5e-3], "to (s)": [150e-6, math.nan], "codes (B)": [2**20, 0]})
    headings, found = rows(frame)
    assert headings == [("latency", "µs", False), ("to", "µs", False), ("codes", "MiB", False)]
    assert found == [("123.456", "150", "1"), ("4500", "", "0")]


def test_what_is_infinite_or_not_known_or_true_is_said_and_an_empty_column_is_left_out():
    frame = pd.DataFrame({"SQNR (dB)": [math.inf, math.nan], "from": [math.nan] * 2, "off": [True, False]})
    headings, found = rows(frame)
    assert headings == [("SQNR", "dB", False), ("off", "", True)]
    assert found == [("inf", "yes"), ("", "no")]


def test_round_numbers_have_no_more_digits_than_they_need():
    assert rows(pd.DataFrame({"weight bits": [1.0, 1.58, 8.0], "share": [0.025, 0.05, 1.0]}))[1] == [
        ("1", "0.025"),
        ("1.58", "0.05"),
        ("8", "1"),
    ]
    assert rows(pd.DataFrame({"ratio": [1e-10, 1.0]}))[1] == [("0.0000000001000",), ("1.000",)], "small is not nothing"


@given(st.lists(st.integers(1, 300), min_size=1, max_size=20))
def test_a_table_is_short_and_says_what_it_leaves_out(lengths):
    frame = pd.concat(pd.DataFrame({"name": str(line), "x": range(count)}) for line, count in enumerate(lengths))
    table = table_of(frame, "bars", "Bars")
    assert 0 < table.shown <= ROWS
    assert (f"{table.shown} of {sum(lengths)} rows" in table.note) == (table.shown < sum(lengths))
    assert ("`bitbench plot bars RUN -o bars.csv`" in table.note) == (table.shown < sum(lengths))


def test_a_long_line_keeps_its_ends_and_the_last_rows_give_way():
    frame = pd.DataFrame({"name": np.repeat(["a", "b"], [600, 6]), "x": [*range(600), *range(6)]})
    _, found = rows(frame)
    assert found[0] == ("a", "0")
    assert ("a", "599") in found
    assert [x for name, x in found if name == "b"] == ["0"]


def shown(task):
    with figure_pool.side_by_side([task]) as drawn:
        (figure,) = drawn()
    return figure


@pytest.mark.parametrize("name", ["speed-up", "latency-over-tokens", "memory", "timings", "precision", "agreement"])
def test_the_page_shows_the_frame_of_a_figure(name, quick):
    drawing = draw(name, quick)
    figure = shown(figure_pool.Task(name, "", lambda: drawing))
    assert figure.table == table_of(drawing.frame, name, figure.title)


def test_a_figure_whose_numbers_are_on_the_page_already_has_no_table(quick):
    assert shown(figure_pool.Task("memory", "", lambda: draw("memory", quick), has_table=False)).table is None


def test_a_figure_that_cannot_be_drawn_has_no_table(quick):
    figure = shown(figure_pool.Task("history", "", lambda: draw("history", quick)))
    assert "3 runs" in figure.missing
    assert figure.table is None
