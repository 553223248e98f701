"""One type a column: the frames of stored runs can be computed with, and written to files that know types."""

from typing import Any

import pandas as pd

_WHOLE = (
    "m", "k", "n", "activation_bits", "groups", "threads", "round", "sample", "block", "rounds", "samples", "record",
)  # fmt: skip
_REAL = (
    "weight_bits", "value", "centre", "lo", "hi", "precision", "predicted_sqnr", "prediction_tolerance", "bandwidth",
    "throughput", "intensity", "ceiling_share",
)  # fmt: skip
SPEEDUP = "speedup_"
"""What the names of more of them begin with."""
_TRUTH = ("voided",)
_WORDS = (
    "run", "suite", "case", "implementation", "scheme", "dtype", "device", "metric", "unit", "outcome", "reason",
    "kind", "warnings", "ceiling", "state", "started", "commit", "contest", "title", "machine", "role",
)  # fmt: skip
"""Ours, and their types, where a frame has no value of them; the rest is told from its values."""
_SPECIAL = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}
"""How numbers that JSON does not have are spelt in stored params and facts."""
_TEXT = pd.Series(["text"]).dtype
"""What this pandas keeps text in."""


def typed(frame: pd.DataFrame) -> pd.DataFrame:
    """The same with every column of one type: Int64, float64, bool or text. What is missing stays missing.

    Numbers that are stored as text because JSON has none of them are numbers. A column in which numbers and words meet,
    because two suites mean different things by a param, is text.
    """
    return pd.DataFrame({name: _typed(str(name), frame[name]) for name in frame}, index=frame.index)


def _typed(name: str, column: Any) -> Any:
    if column.isna().all():
        return column.astype(_empty(name, column))
    if column.dtype in ("Int64", "bool"):
        return column
    if column.dtype.kind == "O":
        column = _of_objects(name, column)
    if column.dtype.kind not in "if":
        return column
    if name in _WHOLE and (column.dropna() % 1 == 0).all():
        return column.astype("Int64")
    return column if column.dtype == "float64" else column.astype("float64" if name in _REAL else "Int64")


def _of_objects(name: str, column: Any) -> Any:
    """The same as text or as numbers."""
    kind = pd.api.types.infer_dtype(column)
    if kind == "string" and not column.isin(_SPECIAL).any():
        return column.astype(_TEXT)
    if kind not in _NUMBERS:
        column = pd.Series([_number(value) for value in column], column.index, dtype=object)
        kind = pd.api.types.infer_dtype(column)
    if kind not in _NUMBERS:
        return column.where(column.isna(), column.map(str)).astype(_TEXT)
    return column.astype("Int64" if kind == "integer" and name not in _REAL else "float64")


_NUMBERS = ("integer", "floating", "mixed-integer-float", "empty")
"""What pandas calls a column of Python's numbers; one of NaN alone is empty."""


def _number(value: object) -> object:
    return _SPECIAL.get(value, value) if isinstance(value, str) else value


def _empty(name: str, column: Any) -> object:
    """The type of a column without a value, by its name."""
    if name in _WHOLE:
        return "Int64"
    if name in _TRUTH:
        return "bool"
    real = name in _REAL or name.startswith(SPEEDUP) or (column.dtype.kind == "f" and name not in _WORDS)
    return "float64" if real else _TEXT
