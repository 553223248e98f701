"""The frame of a figure as the table that is folded below it."""

import math

import pandas as pd

from harness.model.units import figure as digits
from harness.model.units import suited
from harness.show.plots.theme import evenly
from harness.show.report.tables import Heading, Sheet, SheetRow

ROWS = 60
"""Most rows of a table: a line of many points is thinned to an even share of them."""
_FEWEST = 5
"""Points that are left of a line: both ends and the quarters."""
_SCALED = ("s", "B")
"""Units that give way to a smaller or larger one, the same in all columns of a table."""


def table_of(frame: pd.DataFrame, name: str, title: str) -> Sheet:
    """The `frame` of the figure `name`, which is called `title`; columns without any value are left out."""
    shown = _thinned(frame)
    note = (
        f"{len(shown)} of {len(frame)} rows; `bitbench plot {name} RUN -o {name}.csv` writes them all."
        if len(shown) < len(frame)
        else ""
    )
    shown = shown.dropna(axis="columns", how="all")
    sizes = {unit: _size(shown, unit) for unit in _SCALED}
    columns = [_column(str(heading), values, sizes) for heading, values in shown.items()]
    rows = [SheetRow(cells) for cells in zip(*(cells for _, cells in columns), strict=True)]
    return Sheet("data", f"Data of {title}", note, tuple(heading for heading, _ in columns), [rows])


def _thinned(frame: pd.DataFrame) -> pd.DataFrame:
    """At most ROWS rows. Rows with the same words are a line: it keeps its share of ROWS, _FEWEST at least."""
    if len(frame) <= ROWS:
        return frame
    words = [heading for heading in frame if _is_words(frame[heading])]
    lines = [line for _, line in frame.groupby(words, sort=False, dropna=False)]
    shares = [max(_FEWEST, ROWS * len(line) // len(frame)) for line in lines]
    thinned = [line.iloc[evenly(len(line), share)] for line, share in zip(lines, shares, strict=True)]
    return pd.concat(thinned).head(ROWS)


def _column(heading: str, values: pd.Series, sizes: dict[str, tuple[float, str]]) -> tuple[Heading, list[str]]:
    if _is_words(values):
        return Heading(heading, words=True), ["" if pd.isna(value) else str(value) for value in values]
    if pd.api.types.is_bool_dtype(values):
        return Heading(heading, words=True), ["yes" if value else "no" for value in values]
    text, unit = _parted(heading)
    size, name = sizes.get(unit, (1.0, unit))
    return Heading(text, name.replace("us", "µs")), _numbers([float(value) / size for value in values.to_numpy(float)])


def _is_words(values: pd.Series) -> bool:
    return not pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def _parted(heading: str) -> tuple[str, str]:
    """`latency (s)` is a text and its unit."""
    text, bracket, unit = heading.removesuffix(")").rpartition(" (")
    return (text, unit) if bracket and heading.endswith(")") else (heading, "")


def _size(frame: pd.DataFrame, unit: str) -> tuple[float, str]:
    """What suits the middle one of all numbers of this `unit`, and the name of that."""
    columns = [frame[heading].to_numpy(float) for heading in frame if _parted(str(heading))[1] == unit]
    found = sorted(abs(value) for values in columns for value in values if math.isfinite(value) and value)
    return suited(found[len(found) // 2], unit) if found else (1.0, unit)


def _numbers(values: list[float]) -> list[str]:
    """With four digits; numbers that are all round, as bits and tokens are, have no more than they need."""
    finite = [value for value in values if math.isfinite(value)]
    is_round = all(math.isclose(round(value, 3), value, rel_tol=1e-12) for value in finite)
    texts = [f"{round(value, 3):.12g}" if is_round else digits(value, 4) for value in values]
    return ["" if math.isnan(value) else text.replace("-", "−") for value, text in zip(values, texts, strict=True)]
