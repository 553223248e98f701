"""Temporary folders that somebody holds: locked by their processes, so that those of killed ones can be told."""

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from io import FileIO
from pathlib import Path

if sys.platform != "win32":
    import fcntl

LOCK = "held"
YOUNG = 60.0
"""Seconds of age below which a folder is left alone: it may not be locked yet."""


def claim(prefix: str) -> tuple[Path, FileIO]:
    """A new folder, and the file that holds it for as long as it is open."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    file = FileIO(folder / LOCK, "w")
    _lock(file)
    return folder, file


def abandoned(prefix: str, young: float = YOUNG) -> Iterator[Path]:
    """The folders of that prefix whose processes are gone. Other people's cannot be opened and are left out."""
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        with suppress(OSError), FileIO(folder / LOCK, "r+") as file:
            if time.time() - folder.stat().st_mtime >= young and _lock(file):
                yield folder


def _lock(file: FileIO) -> bool:
    """Whether nobody else has it. Where there are no locks nothing can be told, and nothing is called abandoned."""
    if sys.platform == "win32":
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
