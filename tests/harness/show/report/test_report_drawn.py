"""The table below a figure says what is drawn on it, in the words of its axes."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter

from harness.show.report.drawn import ROWS, numbers_of


def panel(title="one"):
    figure = Figure()
    axes = figure.subplots()
    axes.set_title(title, loc="left")
    figure.suptitle("Bars")
    return figure, axes


def rows(figure):
    sheet = numbers_of(figure)
    return [heading.text for heading in sheet.headings], [row.cells for row in sheet.blocks[0]]


def test_bars_have_their_names_and_the_intervals_drawn_through_them():
    figure, axes = panel()
    axes.barh(["a", "b"], [1.0, 3.0])
    axes.errorbar([1.0, 3.0], [0, 1], xerr=[[0.5, 1.0], [0.25, 2.0]], fmt="none")
    axes.set_xlabel("speed")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{2**value:.3g}×"))
    headings, found = rows(figure)
    assert headings == ["panel", "speed", "name", "from", "to"]
    assert found == [["one", "2×", "a", "1.41×", "2.38×"], ["one", "8×", "b", "4×", "32×"]]


def test_a_series_has_the_name_of_the_legends_mark():
    figure, axes = panel()
    axes.plot([0, 1], [2, 3], color="#0173b2")
    axes.scatter([5], [6], color="#b84a00")
    axes.axhline(1, color="#868c96")
    handles = [axes.plot([], [], color="#0173b2")[0], axes.plot([], [], "s", color="#b84a00")[0]]
    figure.legend(handles, ["blue", "red"])
    assert {row[1] for row in rows(figure)[1]} == {"blue", "red"}
    assert len(rows(figure)[1]) == 3, "a reference line is no data"


def test_cells_of_a_heat_map_have_row_column_and_value():
    figure, axes = panel()
    axes.pcolormesh([[1.5, 2.5], [np.nan, 4.5]])
    axes.set_xticks([0.5, 1.5], ["n", "m"])
    axes.set_yticks([0.5, 1.5], ["up", "down"])
    assert rows(figure)[1] == [["one", "n", "up", "1.500"], ["one", "m", "up", "2.500"], ["one", "m", "down", "4.500"]]


def test_what_has_no_scale_has_no_number():
    figure, axes = panel()
    axes.scatter([1, 2], [3, 9])
    axes.yaxis.set_major_locator(FixedLocator([2, 3, 4]))
    assert [row[-1] for row in rows(figure)[1]] == ["3.000", "off the scale"]


def test_numbers_between_the_words_of_an_axis_are_no_table():
    figure, axes = panel()
    axes.scatter([0.3], [5.0])
    axes.set_yticks([0, 1], ["a", "b"])
    assert numbers_of(figure) is None
    assert numbers_of(panel()[0]) is None


@given(st.lists(st.integers(1, 300), min_size=1, max_size=20))
def test_a_table_is_short_and_says_what_it_leaves_out(lengths):
    figure, axes = panel()
    for length in lengths:
        axes.plot(range(length), range(length), label="a")
    sheet = numbers_of(figure)
    assert 0 < sheet.shown <= ROWS
    assert (f"{sheet.shown} of {sum(lengths)} points" in sheet.note) == (sheet.shown < sum(lengths))
