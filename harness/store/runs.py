"""Runs on disk: JSON lines, the header first, then one fsynced line a record.

A crash, a full disk or Ctrl-C costs at most the line that was being written: a cut-off last line is reported and
left out, everything else that does not read back exactly is an error. A case may be measured again in the same round
(a resumed contest starts over); the last record of a case and round counts.
"""

import errno
import gc
import itertools
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from io import FileIO
from pathlib import Path
from types import TracebackType

import msgspec

from harness.errors import StoreError
from harness.model import SCHEMA_VERSION, Record, Run, StoredRun
from harness.model.codec import encode
from harness.model.stored_run import Extension
from harness.store import files
from harness.store.schema import Content, parse
from harness.user_code.plain_text import unicode

FILE_NAME = "run.jsonl"

_CURES = {
    errno.ENOSPC: "free some space or choose another disk with --out",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f)",
    errno.EDQUOT: "free some of your quota or choose another disk with --out",
    errno.EACCES: "check its permissions or choose another directory",
    errno.EPERM: "check its permissions or choose another directory",
    errno.EROFS: "choose a directory that can be written",
    errno.ENOTDIR: "a file is in the way: choose another directory",
    errno.EEXIST: "a file is in the way: choose another directory",
    errno.ENOENT: "check the spelling; `bitbench run` prints the directory that it writes as its last line",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ELOOP: "a link leads back to itself: choose another directory",
}
_CURES_OF_WRITING = {
    errno.ENOENT: "nothing can be made there: choose another directory",
    errno.EINVAL: "nothing can be made there: choose another directory",
}
"""Whose cause is another where something is to be made."""


class Writer:
    """Appends records to one run; they are on the disk when the call returns. A context manager.

    Holds an advisory lock on the file while open. After a failed write nothing more can be appended, so that an
    unfinished line is always the last one.
    """

    def __init__(self, file: FileIO, path: Path) -> None:
        self._file = file
        self._path = path

    def append(self, record: Record) -> None:
        """Write one record. Raises StoreError when the disk refuses it."""
        self.append_all((record,))

    def append_all(self, records: Sequence[Record]) -> None:
        """Write records that are known together at once, so that a crash seldom parts them. Raises as `append`."""
        with _explained("write", self._path, "; what was finished is kept: go on with it by --resume"):
            _write_lines(self._file, records)

    def extend(self, extension: Extension) -> None:
        """Write down that the run goes on otherwise than it was begun. Raises as `append`."""
        with _explained("write", self._path):
            _write_lines(self._file, (extension,))

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
        if any(directory.iterdir()) and not path.exists():
            raise StoreError(f"{directory} is not empty and holds no run: choose another --out")
        try:
            file = _open_locked(path, "x")
        except FileExistsError as error:
            raise StoreError(
                f"{directory} holds a run already: go on with it by --resume, or choose another --out"
            ) from error
        try:
            _write_lines(file, (run,))
        except OSError:
            path.unlink()  # it holds nothing, and would be in the way of the next try
            raise
        _sync_directory(directory)
    return Writer(file, path)


def make_unseen(parent: Path) -> None:
    """Make a directory that git passes over: what was measured must not count as a change of what is measured next.

    One that is there is left as it is. Raises StoreError when it cannot be written.
    """
    with _explained("write", parent):
        if not parent.exists():
            parent.mkdir(parents=True, exist_ok=True)
            (parent / ".gitignore").write_text("*\n")


def create_in(parent: Path, run: Run) -> tuple[Path, Writer]:
    """Start a run in a new directory of `parent` that bears its id, with a number added when that is taken.

    It is taken when two runs start in one second, or when the clock was set back. A parent that is not there yet is one
    that git passes over. Raises as `create`.
    """
    make_unseen(parent)
    for number in itertools.count(1):
        named = run if number == 1 else msgspec.structs.replace(run, id=f"{run.id}-{number}")
        directory = parent / named.id
        with _explained("write", directory):
            try:
                directory.mkdir()
            except FileExistsError:
                continue
        return directory, create(directory, named)
    raise AssertionError("there is always another number")


def is_begun(directory: Path) -> bool:
    """Whether a run can be gone on with in `directory`, and not begun: it has its header, if it is a run at all.

    Raises StoreError when it cannot be read.
    """
    with _explained("read", directory):
        try:
            return _has_header((directory / FILE_NAME).read_bytes())
        except FileNotFoundError:
            return False


def remove_unbegun(directory: Path) -> None:
    """Make room for a run where one was ended before its header was written: only such a file is removed.

    Raises StoreError where another process writes it just now, or it cannot be removed.
    """
    path = directory / FILE_NAME
    with _explained("write", directory):
        if not path.exists():
            return
        with _open_locked(path, "r+") as file:
            if not _has_header(file.readall()):
                path.unlink()


def _has_header(data: bytes) -> bool:
    """Whether the first line is whole. A header is written with its end, so a line without one was cut off."""
    return b"\n" in data


def resume(directory: Path) -> tuple[Run, list[Record], Writer]:
    """The header, the records and the writer of `reopen`, which raises."""
    stored, writer = reopen(directory)
    return stored.run, list(stored.records), writer


def reopen(directory: Path) -> tuple[StoredRun, Writer]:
    """Open the run in `directory` to go on with it; an unfinished last line is cut away first.

    Raises StoreError when there is no run, when it cannot be read, or while another process writes it.
    """
    with _explained("resume", directory), ExitStack() as on_failure:
        path = _file_of(directory)
        file = on_failure.enter_context(_open_locked(path, "r+"))
        data = file.readall()
        read = parse(data, path)
        if read.version != SCHEMA_VERSION:
            raise StoreError(f"{path} was begun by an earlier bitlinear-bench (schema {read.version}): begin a new run")
        file.truncate(read.whole)
        file.seek(read.whole)
        if not data[: read.whole].endswith(b"\n"):
            file.write(b"\n")
        on_failure.pop_all()
    return _stored(read, ()), Writer(file, path)


def load(path: Path) -> StoredRun:
    """Read the run in a directory, or in a file of its form.

    Raises StoreError, in one line, for anything that is not a whole run: only the last line may be cut off.
    """
    with _explained("read", path), _without_search_for_cycles():
        file = _file_of(path)
        read = parse(file.read_bytes(), file)
    return _stored(read, read.warnings, file)


def _stored(read: Content, warnings: tuple[str, ...], file: Path | None = None) -> StoredRun:
    is_cut_off = file is not None and read.is_cut_off  # what is gone on with has been mended
    begun = read.begun if read.extensions else None
    name = unicode(str(file)) if file else ""
    return StoredRun(
        read.run, read.records, warnings, read.extensions, begun, name, is_cut_off, file.parent if file else None
    )


@contextmanager
def _without_search_for_cycles() -> Iterator[None]:
    """Records make millions of objects and no cycle; the search would go through all of them again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _file_of(path: Path) -> Path:
    if not path.is_dir() or (path / FILE_NAME).exists():
        return path / FILE_NAME if path.is_dir() else path
    if all((path / side / FILE_NAME).exists() for side in ("base", "head")):
        raise StoreError(f"{path} is the directory of a gate, which holds two runs: give {path}/base or {path}/head")
    state = "holds no " + FILE_NAME if any(path.iterdir()) else "is an empty directory"
    raise StoreError(f"{path} {state}, so it is not a run; give the directory that `bitbench run` printed")


def _open_locked(path: Path, mode: str) -> FileIO:
    with ExitStack() as on_failure:
        file = on_failure.enter_context(FileIO(path, mode))
        _lock(file, path)
        on_failure.pop_all()
    return file


def _lock(file: FileIO, path: Path) -> None:
    try:
        files.lock(file)
    except BlockingIOError as error:
        raise StoreError(f"another run is writing {path}: wait for it to end, or choose another --out") from error
    except OSError as error:
        # Some network file systems have no locks; the lock only guards against a slip, so work goes on without it.
        if error.errno not in (errno.ENOTSUP, errno.ENOSYS, errno.ENOLCK):
            raise


def _write_lines(file: FileIO, messages: Sequence[Run | Record | Extension]) -> None:
    rest = memoryview(b"".join(encode(message) + b"\n" for message in messages))
    try:
        while rest:
            rest = rest[file.write(rest) :]
        os.fsync(file.fileno())
    except OSError:
        file.close()
        raise


def _sync_directory(directory: Path) -> None:
    """Make the name of a new file last as its contents do."""
    if sys.platform == "win32":
        return
    number = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some file systems cannot, and need not
            raise
    finally:
        os.close(number)


@contextmanager
def _explained(verb: str, path: Path, after: str = "") -> Iterator[None]:
    """Turn what the operating system says into one line with a cure."""
    try:
        yield
    except OSError as error:
        cures = _CURES | _CURES_OF_WRITING if verb == "write" else _CURES
        cure = cures.get(error.errno or 0, "check the path")
        raise StoreError(f"cannot {verb} {path}: {error.strerror or error}; {cure}{after}") from error
