"""Data inside the page: what can be saved from it without JavaScript, and what programs may read out of it."""

import base64
import gzip
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

import msgspec
import numpy as np
import pandas as pd
from markupsafe import Markup

from harness.model import Run
from harness.model.codec import encode
from harness.model.metrics import METRICS

ROWS = 3000
"""Most rows of a data file, a case and metric each: both files of so many take a quarter of a MB of the page."""
_DIGITS = 9
"""Significant digits of a number: more than any measurement has."""


class Download(NamedTuple):
    """A file that lies in the page as the address of a link."""

    name: str
    address: Markup
    size: int
    """Bytes of the file as it is saved."""


@dataclass(frozen=True)
class Saved:
    """The files, and a sentence that says what they lack, if they lack anything."""

    files: Sequence[Download]
    note: str


def saved(summary: pd.DataFrame) -> Saved:
    """The summary as gzipped CSV and as gzipped JSON; of a large one as many metrics as fit, the project's first."""
    frame, note = _fitting(summary.drop(columns=["contest", "title"]))
    table = frame.to_csv(index=False, float_format=f"%.{_DIGITS}g").encode()
    return Saved([_download("summary.csv.gz", table), _download("summary.json.gz", _records(frame))], note)


def island(runs: Iterable[Run]) -> Markup:
    """The runs' headers as JSON that may stand in a `<script>` element, whatever their strings say."""
    return _harmless(b"[" + b",".join(map(encode, runs)) + b"]")


def attribute(values: Iterable[str]) -> str:
    """Strings for an attribute that the page's script reads."""
    return json.dumps(list(values), ensure_ascii=False)


def _fitting(frame: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    if len(frame) <= ROWS:
        return frame, ""
    counts = frame["metric"].value_counts()
    names = [name for name in dict.fromkeys([*METRICS, *counts.index]) if name in counts]
    fitting = [
        name for name, rows in zip(names, accumulate(counts[name] for name in names), strict=True) if rows <= ROWS
    ]
    kept = frame[frame["metric"].isin(fitting)] if fitting else frame[frame["metric"] == names[0]].head(ROWS)
    what = (
        f"{', '.join(fitting)} of every case"
        if fitting
        else f"the first {ROWS} of {counts[names[0]]} rows of {names[0]}"
    )
    return kept, f"To keep the page small they hold only {what}; `bitbench show RUN --format csv` prints everything."


def _harmless(text: bytes) -> Markup:
    """JSON without the signs that end an element or begin a comment: in JSON they only stand in strings."""
    escaped = text.decode()
    for sign in "<>&\u2028\u2029":
        escaped = escaped.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(escaped)


def _records(frame: pd.DataFrame) -> bytes:
    """One object a row, without what is not known; infinities are strings, as in a stored run."""
    columns = [(name, _plain(frame[name])) for name in frame]
    rows = zip(*(values for _, values in columns), strict=True)
    names = [str(name) for name, _ in columns]
    records = [{name: value for name, value in zip(names, row, strict=True) if value is not None} for row in rows]
    return msgspec.json.encode(records)


def _plain(column: pd.Series) -> list[object]:
    """Python values, None where there is none; real numbers with as many digits as in the CSV file."""
    if not pd.api.types.is_float_dtype(column):
        return [None if value is pd.NA or value != value else value for value in column.tolist()]
    texts = [f"{value:.{_DIGITS}g}" for value in column.to_numpy(float)]
    values: list[object] = [None if text == "nan" else float(text) for text in texts]
    return [str(value) if isinstance(value, float) and np.isinf(value) else value for value in values]


def _download(name: str, content: bytes) -> Download:
    packed = gzip.compress(content, mtime=0)
    address = f"data:application/gzip;base64,{base64.b64encode(packed).decode()}"
    return Download(name, Markup(address), len(packed))
