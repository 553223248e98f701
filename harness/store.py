"""Runs on disk: JSON lines, the header first, then one fsynced line a record.

A crash, a full disk or Ctrl-C costs at most the line that was being written: a cut-off last line is reported and
left out, everything else that does not read back exactly is an error. A case may be measured again in the same round
(a resumed contest starts over); the last record of a case and round counts.
"""

import errno
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import msgspec

from harness.errors import StoreError
from harness.metric import METRICS
from harness.model import SCHEMA_VERSION, Record, Run, decode, encode

if sys.platform != "win32":
    import fcntl

FILE_NAME = "run.jsonl"

MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""From a schema version to the function that lifts one decoded line (header or record) to the next version."""

Line = TypeVar("Line", Run, Record)

_CURES = {
    errno.ENOSPC: "free some space or choose another disk with --out",
    errno.EDQUOT: "free some of your quota or choose another disk with --out",
    errno.EACCES: "check its permissions or choose another directory",
    errno.EPERM: "check its permissions or choose another directory",
    errno.EROFS: "choose a directory that can be written",
    errno.ENOTDIR: "a file is in the way: choose another directory",
    errno.EEXIST: "a file is in the way: choose another directory",
    errno.ENOENT: "check the spelling; `bitbench run` prints the directory that it writes as its last line",
}


@dataclass(frozen=True)
class StoredRun:
    """A run as read back. `records` holds at most one record for a case and round, in the order written."""

    run: Run
    records: tuple[Record, ...]
    warnings: tuple[str, ...] = ()


class Writer:
    """Appends records to one run; a record is on the disk when `append` returns. A context manager.

    Holds an advisory lock on the file while open. After a failed write nothing more can be appended, so that an
    unfinished line is always the last one.
    """

    def __init__(self, file: FileIO, path: Path) -> None:
        self._file = file
        self._path = path

    def append(self, record: Record) -> None:
        """Write one record. Raises StoreError when the disk refuses it."""
        with _explained("write", self._path):
            _write_line(self._file, record)

    def close(self) -> None:
        """Give up the lock. Safe to call twice."""
        self._file.close()

    def __enter__(self) -> "Writer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def create(directory: Path, run: Run) -> Writer:
    """Start a run in `directory`, which is made when missing.

    Raises StoreError when the directory holds anything already, or cannot be written.
    """
    path = directory / FILE_NAME
    with _explained("write", directory):
        directory.mkdir(parents=True, exist_ok=True)
        if path.exists():
            raise StoreError(f"{directory} holds a run already: go on with it by --resume, or choose another --out")
        if any(directory.iterdir()):
            raise StoreError(f"{directory} is not empty and holds no run: choose another --out")
        file = _open_locked(path, "x")
        _write_line(file, run)
    return Writer(file, path)


def resume(directory: Path) -> tuple[Run, list[Record], Writer]:
    """Open the run in `directory` to go on with it; an unfinished last line is cut away first.

    Raises StoreError when there is no run, when it cannot be read, or while another process writes it.
    """
    with _explained("resume", directory), ExitStack() as on_failure:
        path = _file_of(directory)
        file = on_failure.enter_context(_open_locked(path, "r+"))
        data = file.readall()
        stored, whole = _parse(data, path)
        file.truncate(whole)
        file.seek(whole)
        if not data[:whole].endswith(b"\n"):
            file.write(b"\n")
        on_failure.pop_all()
    return stored.run, list(stored.records), Writer(file, path)


def load(path: Path) -> StoredRun:
    """Read the run in a directory, or in a file of its form.

    Raises StoreError, in one line, for anything that is not a whole run: only the last line may be cut off.
    """
    with _explained("read", path):
        file = _file_of(path)
        return _parse(file.read_bytes(), file)[0]


def _file_of(path: Path) -> Path:
    if not path.is_dir() or (path / FILE_NAME).exists():
        return path / FILE_NAME if path.is_dir() else path
    state = "holds no " + FILE_NAME if any(path.iterdir()) else "is an empty directory"
    raise StoreError(f"{path} {state}, so it is not a run; give the directory that `bitbench run` printed")


def _open_locked(path: Path, mode: str) -> FileIO:
    with ExitStack() as on_failure:
        file = on_failure.enter_context(FileIO(path, mode))
        _lock(file, path)
        on_failure.pop_all()
    return file


def _lock(file: FileIO, path: Path) -> None:
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise StoreError(f"another run is writing {path}: wait for it to end, or choose another --out") from error
    except OSError as error:
        # Some network file systems have no locks; the lock only guards against a slip, so work goes on without it.
        if error.errno not in (errno.ENOTSUP, errno.ENOSYS, errno.ENOLCK):
            raise


def _write_line(file: FileIO, message: Run | Record) -> None:
    rest = memoryview(encode(message) + b"\n")
    try:
        while rest:
            rest = rest[file.write(rest) :]
        os.fsync(file.fileno())
    except OSError:
        file.close()
        raise


def _parse(data: bytes, path: Path) -> tuple[StoredRun, int]:
    """The run in `data` and how many of its bytes are whole lines."""
    if not data:
        raise StoreError(f"{path} is empty: the run ended before it began; delete it and run again")
    header, *lines = data.split(b"\n")
    run, version = _header(header, path)
    last = lines.pop() if lines else b""
    records = [_record(line, version, path, number) for number, line in enumerate(lines, start=2)]
    warnings = []
    whole = len(data)
    if last:
        try:
            records.append(_record(last, version, path, len(lines) + 2))
        except StoreError:
            whole -= len(last)
            warnings.append(f"{path}: the last line is cut off and left out; `bitbench run --resume` measures it again")
    kept = {(record.case.name, record.round): record for record in records}
    if len(kept) < len(records):
        again = len(records) - len(kept)
        warnings.append(f"{path}: {again} records were measured again in the same round; the last one counts")
    warnings += _unknown_metrics(records, path)
    return StoredRun(run, tuple(kept.values()), tuple(warnings)), whole


def _header(line: bytes, path: Path) -> tuple[Run, int]:
    try:
        message = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StoreError(f"{path} is not a run: its first line is not a whole line of JSON ({error})") from error
    version = message.get("schema") if isinstance(message, dict) else None
    if type(version) is not int:
        raise StoreError(f"{path} is not a run: its first line has no schema number; give a run of `bitbench run`")
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{path} has schema {version}, and this program reads up to {SCHEMA_VERSION}: upgrade bitlinear-bench"
        )
    if any(step not in MIGRATIONS for step in range(version, SCHEMA_VERSION)):
        raise StoreError(f"{path} has schema {version}, which this program no longer reads: measure it again")
    return _decode(line, Run, version, path, 1), version


def _record(line: bytes, version: int, path: Path, number: int) -> Record:
    record = _decode(line, Record, version, path, number)
    twice = [name for name, count in Counter(m.metric for m in record.measurements).items() if count > 1]
    if record.round < 0 or twice or any(m.iterations < 1 for m in record.measurements):
        raise _corrupt(path, number, "a negative round, a metric twice or a loop of no iterations")
    return record


def _decode(line: bytes, kind: type[Line], version: int, path: Path, number: int) -> Line:
    try:
        if version == SCHEMA_VERSION:
            return decode(line, kind)
        message = msgspec.json.decode(line)
        for step in range(version, SCHEMA_VERSION):
            message = MIGRATIONS[step](message)
        return msgspec.convert(message, kind, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _corrupt(path, number, str(error)) from error


def _corrupt(path: Path, number: int, why: str) -> StoreError:
    return StoreError(f"{path}, line {number} is corrupt ({why}): restore the file from a copy or measure again")


def _unknown_metrics(records: list[Record], path: Path) -> list[str]:
    unknown = sorted({m.metric for record in records for m in record.measurements} - METRICS.keys())
    if not unknown:
        return []
    return [f"{path}: unknown metrics are ignored: {', '.join(unknown)}; a newer bitlinear-bench may know them"]


@contextmanager
def _explained(verb: str, path: Path) -> Iterator[None]:
    """Turn what the operating system says into one line with a cure."""
    try:
        yield
    except OSError as error:
        cure = _CURES.get(error.errno or 0, "check the path")
        raise StoreError(f"cannot {verb} {path}: {error.strerror or error}; {cure}") from error
