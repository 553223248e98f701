"""Files that are replaced as a whole (a reader finds the old content or the new one), and locks on files."""

import os
import sys
from io import FileIO
from pathlib import Path

if sys.platform != "win32":
    import fcntl


def replace(path: Path, content: bytes) -> None:
    """Write beside `path` and rename; the content is on the disk when the call returns. Raises OSError.

    What is there and is no ordinary file, such as /dev/stdout or a pipe, is written to and not replaced.
    """
    if path.exists() and not path.is_file():
        path.write_bytes(content)  # a directory refuses it
        return
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def lock(file: FileIO) -> None:
    """Hold `file` until it is closed; does nothing on Windows.

    Raises BlockingIOError where another process holds it, OSError where the file system has no locks.
    """
    if sys.platform != "win32":
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
