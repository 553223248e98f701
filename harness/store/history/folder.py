"""A folder of Parquet files: a run is added whole or not at all, and counts once however often it is added.

The name of a file tells its run, so that two writers of one run replace each other's file by one that says the same,
and writers of two runs never meet. A file is written beside its place and renamed.
"""

import contextlib
import io
import itertools
import time
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from harness.errors import StoreError
from harness.store import files
from harness.store.history.columns import TEXT, VERSION, arrow, schema

State = Literal["added", "brought up to date", "already there"]
_COUNT = b"bitbench.records"
_VERSION = b"bitbench.history"
_LONGEST = 150
"""Characters of an id in the name of a file."""
_AT_ONCE = 100_000
"""Rows that are in memory together."""
_SOUGHT = ("suite", "case", "implementation", "metric", "machine_kind", "commit", "started", "committed", "value")
"""Columns by whose values parts of a file are passed over. Statistics of the others make it slower to open."""
_ABANDONED = 3600.0
"""Seconds after which an unfinished file belongs to nobody who still writes it."""


def add(folder: Path, run: str, identity: str, records: int, rows: Iterable[Mapping[str, Any]]) -> State:
    """Put the `rows` of a run into `folder`, which is made when missing.

    A run that is there with as many `records` or more stays as it is, so that a run that went on is added again, and an
    old copy of it never takes its place. Raises StoreError when the disk refuses, UsageError without pyarrow.
    """
    pa = arrow()
    import pyarrow.parquet as parquet

    path = folder / f"run-{quote(run, safe='')[:_LONGEST]}-{identity}.parquet"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _clear(folder)
        held = _records_in(path)
        if held is not None and held >= records:
            return "already there"
        facts = {_COUNT: str(records).encode(), _VERSION: str(VERSION).encode()}
        content = io.BytesIO()
        shape = schema().with_metadata(facts)
        # A history has thousands of small files, and snappy opens one in two thirds of the time that zstd takes.
        layout = {"compression": "snappy", "use_dictionary": [*TEXT], "write_statistics": [*_SOUGHT]}
        with parquet.ParquetWriter(content, shape, **layout) as file:
            left = iter(rows)
            while some := list(itertools.islice(left, _AT_ONCE)):
                file.write_table(pa.Table.from_pylist(some, schema=shape))
        files.replace(path, content.getvalue())
    except OSError as error:
        raise StoreError(
            f"cannot write {folder}: {error.strerror or error}; name a folder that is yours with --to"
        ) from error
    return "added" if held is None else "brought up to date"


def _records_in(path: Path) -> int | None:
    """How many records of its run a file holds; None where there is no such file. Raises StoreError as `read`."""
    import pyarrow.parquet as parquet

    if not path.exists():
        return None
    with _explained(path):
        return int(parquet.read_metadata(path).metadata[_COUNT])


def _clear(folder: Path) -> None:
    """Take away what writers that were killed left behind; nobody reads it."""
    for partial in folder.glob(".run-*.partial"):
        with contextlib.suppress(FileNotFoundError):  # another writer takes it away too, or is about to rename it
            if time.time() - partial.stat().st_mtime > _ABANDONED:
                partial.unlink()


def dataset(folder: Path) -> Any:
    """The history as a `pyarrow.dataset.Dataset`: nothing is read before something is asked of it.

    Raises StoreError where there is no history, UsageError without pyarrow.
    """
    arrow()
    import pyarrow.dataset as ds

    paths = sorted(map(str, folder.glob("*.parquet")))
    if not paths:
        state = "holds no runs" if folder.is_dir() else "is not there"
        raise StoreError(f"the history {folder} {state}; `bitbench history add RUN --to {folder}` adds one")
    return ds.dataset(paths, schema=schema(), format="parquet")


def arrow_field() -> Any:
    """`pyarrow.compute.field`, of which the `where` of `read` is made. Raises UsageError without pyarrow."""
    arrow()
    import pyarrow.compute as pc

    return pc.field


def read(folder: Path, columns: Collection[str], where: Any = None) -> Any:
    """These columns as a pandas frame, of the rows for which the `pyarrow.compute` expression `where` holds.

    Text is categorical. Raises as `dataset`, and StoreError for a file that is none of a history.
    """
    found = dataset(folder)
    with _explained(folder):
        return found.to_table(columns=list(columns), filter=where).to_pandas(strings_to_categorical=True)


@contextlib.contextmanager
def _explained(path: Path) -> Any:
    pa = arrow()
    try:
        yield
    except (pa.ArrowException, KeyError, TypeError, ValueError, OSError) as error:
        said = " ".join(str(error).split())[:200]
        raise StoreError(
            f"{path} is no history ({said}); take away what `bitbench history add` did not write"
        ) from error
