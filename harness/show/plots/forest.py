"""The figure of two runs: the change of every case with its interval, against the margin that was tolerated."""

import math
from collections.abc import Iterator, Sequence
from statistics import median
from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Polygon

from harness.judge.verdict import Word
from harness.show.plots.theme import (
    BLUE,
    BROWN,
    GREEN,
    GREY,
    RED,
    RULE,
    VIOLET,
    Drawing,
    label,
    named_rows,
    panels,
    themed,
)

ROWS = 60
"""Cases that are drawn; more of them would not fit a page."""
_LABEL = 64
"""Characters of a case's name that are drawn."""
_ROW = 0.21
"""Inches of height."""
_LOOKS: dict[Word, tuple[str, str]] = {
    "regressed": (RED, "s"),
    "improved": (GREEN, "^"),
    "inconclusive": (BROWN, "o"),
    "ok": (BLUE, "o"),
}
_OTHER = (GREY, "X")
_MEAN = VIOLET
_NARROW = 0.01
"""The margin that a figure is drawn for where none was held against."""
_STEPS = (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
"""Per cent between ticks."""


class Change(NamedTuple):
    """A ratio of head to base with its interval, the slowdown that was tolerated, and the verdict."""

    name: str
    word: Word
    ratio: float
    lo: float
    hi: float
    margin: float


@themed
def forest(
    cases: Sequence[Change],
    sentinels: Sequence[Change] = (),
    mean: Change | None = None,
    sides: tuple[str, str] = ("base", "head"),
) -> Drawing:
    """A row a case, in the order given, then what cannot differ, then the geometric mean as a diamond.

    At most ROWS cases are drawn, the first of them; the caption says so. There is one row at least. `sides` is what the
    two runs are called. The frame has the same rows: changes, their intervals and the margins, in per cent.
    """
    base, head = sides
    drawn = cases[:ROWS]
    rows: list[Change | str] = [*drawn]
    rows += ["the same code on both sides:", *sentinels] if sentinels else []
    rows += ["all cases together:", mean] if mean else []
    figure, (ax,) = panels(1, 0.55 + _ROW * (len(rows) + 1))
    everything = [row for row in rows if isinstance(row, Change)]
    reach = _reach(everything)
    for y, row in enumerate(rows):
        if isinstance(row, Change):
            _band(ax, y, row, reach)
            _draw(ax, y, row, reach, is_mean=row is mean)
    ax.axvline(0, color=RULE, linewidth=1)
    ax.set_xlim(-reach, reach)
    ax.set_xlabel(f"change, {head} over {base} (right is worse)")
    ticks = list(_ticks(reach))
    ax.set_xticks([math.log1p(tick / 100) for tick in ticks], [signed(tick, "+g") + " %" for tick in ticks])
    _name(ax, rows)
    title = "Changes, the gravest first"
    caption = _CAPTION.format(base, head)
    caption += f"{_DIAMOND if mean else ''}{_left_out(len(cases))}"
    return Drawing(label(figure, title, caption), _table(everything, f"change, {head} over {base} (%)"))


def _table(changes: Sequence[Change], heading: str) -> pd.DataFrame:
    rows = []
    for change in changes:
        lo, hi = _ends(change) or (math.nan, math.nan)
        percent = [100 * (ratio - 1) for ratio in (change.ratio, lo, hi)]
        rows.append((change.name, change.word, *percent, 100 * change.margin))
    return pd.DataFrame(rows, columns=["case", "verdict", heading, "from (%)", "to (%)", "margin (%)"])


_CAPTION = (
    "A row is a case: the change of its latency from {} to {} with the confidence interval over rounds, and the"
    " verdict beside it. A row that names another metric is the share by which that one changed. The shaded band is"
    " the margin to either side; it is wider where a call is so short that the floor counts. The scale is logarithmic;"
    " an interval that ends in a triangle goes on beyond it."
)
_DIAMOND = " The diamond is the geometric mean, as wide as its interval."


def _left_out(count: int) -> str:
    return f" Drawn: {ROWS} of {count} cases, the gravest first." if count > ROWS else ""


def _reach(changes: Sequence[Change]) -> float:
    """Half the axis, on the log scale: every centre, and intervals as far as they do not dwarf the usual margin."""
    usual = median([math.log1p(change.margin) for change in changes if change.margin] or [_NARROW])
    centres = max(abs(math.log(change.ratio)) for change in changes)
    ends = max((abs(math.log(end)) for change in changes for end in _ends(change)), default=0.0)
    return 1.08 * max(1.5 * usual, centres, min(ends, max(4 * usual, 1.5 * centres)))


def _ends(change: Change) -> tuple[float, ...]:
    return (change.lo, change.hi) if math.isfinite(change.lo) and math.isfinite(change.hi) else ()


def _ticks(reach: float) -> Iterator[float]:
    """Round percentages that lie on the axis, at most about nine."""
    most = 100 * math.expm1(reach)
    step = next((step for step in _STEPS if most / step <= 4.5), most)
    for number in range(-math.floor(99 / step), math.floor(most / step) + 1):
        if math.log1p(number * step / 100) >= -reach:
            yield number * step


def _band(ax: Axes, y: int, change: Change, reach: float) -> None:
    limit = min(math.log1p(change.margin), reach)
    ax.fill_between([-limit, limit], y - 0.5, y + 0.5, color=RULE, alpha=0.2, linewidth=0)


def _draw(ax: Axes, y: int, change: Change, reach: float, *, is_mean: bool) -> None:
    colour, marker = (_MEAN, "D") if is_mean else _LOOKS.get(change.word, _OTHER)
    centre = math.log(change.ratio)
    ends = [math.log(end) for end in _ends(change)]
    if is_mean and ends:
        ax.add_patch(Polygon([(ends[0], y), (centre, y - 0.36), (ends[1], y), (centre, y + 0.36)], color=colour))
        return
    if ends:
        ax.plot([max(ends[0], -reach), min(ends[1], reach)], [y, y], color=colour, linewidth=1.4)
        for end, arrow in zip(ends, ("<", ">"), strict=True):
            if abs(end) > reach:
                ax.plot([math.copysign(0.992 * reach, end)], [y], marker=arrow, color=colour, markersize=4.5)
    style = "none" if change.word == "inconclusive" else "full"
    ax.plot([centre], [y], marker=marker, color=colour, markersize=5.5, fillstyle=style)


def _name(ax: Axes, rows: Sequence[Change | str]) -> None:
    """Names on the left; verdict and figures on the right, so that nothing depends on colour."""
    names = [row if isinstance(row, str) else row.name for row in rows]
    named_rows(ax, [_shortened(name) for name in names])
    ax.grid(visible=False, axis="y")
    ax.spines["left"].set_visible(False)
    beside = ax.get_yaxis_transform()
    for y, row in enumerate(rows):
        if isinstance(row, Change):
            for offset, words in ((8, row.word.replace("_", " ")), (72, figures(row))):
                ax.annotate(words, (1, y), (offset, 0), xycoords=beside, textcoords="offset points", va="center",
                            fontsize=8.5)  # fmt: skip


def _shortened(name: str) -> str:
    """Without its middle where it is long: names begin with who it is and end with what tells cases apart."""
    half = _LABEL // 2
    return name if len(name) <= _LABEL else f"{name[: half - 1]}…{name[-half:]}"


def figures(change: Change) -> str:
    """`+0.9 % [−4.5, +6.7]`; what is exact has no interval."""
    ends = ", ".join(signed(100 * (end - 1)) for end in _ends(change) if change.lo < change.hi)
    return f"{signed(100 * (change.ratio - 1))} %{f' [{ends}]' if ends else ''}"


def signed(value: float, form: str = "+.1f") -> str:
    """With a typographic sign; what rounds to nothing has none."""
    text = f"{value:{form}}"
    return text.replace("-", "−") if float(text) else text[1:]
