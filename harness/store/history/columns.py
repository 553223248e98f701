"""The columns of a history, with their types. docs/reference/history.md says what each means."""

from typing import Any

from harness.errors import UsageError

VERSION = 1
"""Of the columns. A later version only adds some."""

TEXT = (
    *("run", "identity", "commit", "side", "machine_kind", "machine", "cpu_model", "gpu", "operating_system"),
    *("python", "torch", "suite", "case", "implementation", "params", "role", "outcome", "reason"),
    *("metric", "kind", "unit", "better"),
)
TIMES = ("started", "committed")
TRUTHS = ("dirty", "is_first")
WHOLE = ("round", "centre_rounds")
REAL = ("value", "centre", "lo", "hi", "tolerance")

COLUMNS = (
    *("run", "identity", "started", "commit", "committed", "dirty", "side"),
    *("machine_kind", "machine", "cpu_model", "gpu", "operating_system", "python", "torch"),
    *("suite", "case", "implementation", "params", "role", "round", "outcome", "reason"),
    *("metric", "kind", "unit", "better", "values", "value"),
    *("is_first", "centre", "lo", "hi", "centre_rounds", "tolerance"),
)
"""In the order of the file."""


def arrow() -> Any:
    """The module pyarrow. Raises UsageError where it is not installed."""
    try:
        import pyarrow  # late: it is optional, and takes a tenth of a second
    except ImportError as error:
        raise UsageError("a history needs pyarrow: pip install 'bitlinear-bench[history]'") from error
    return pyarrow


def schema() -> Any:
    """As a `pyarrow.Schema`."""
    pa = arrow()
    types = {
        **dict.fromkeys(TEXT, pa.string()),
        **dict.fromkeys(TIMES, pa.timestamp("us", tz="UTC")),
        **dict.fromkeys(TRUTHS, pa.bool_()),
        **dict.fromkeys(WHOLE, pa.int32()),
        **dict.fromkeys(REAL, pa.float64()),
        "values": pa.list_(pa.float64()),
    }
    return pa.schema([(name, types[name]) for name in COLUMNS])
