"""Temporary folders that somebody holds: locked by their processes, so that those of killed ones can be told."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from io import FileIO
from pathlib import Path

if sys.platform != "win32":
    import fcntl

LOCK = "held"
UNHELD = "new-"


def claim(prefix: str) -> tuple[Path, FileIO]:
    """A new folder, and the file that holds it for as long as it is open. It gets its name when it is held."""
    made = Path(tempfile.mkdtemp(prefix=f"{UNHELD}{prefix}"))
    file = FileIO(made / LOCK, "w")
    _lock(file)
    return made.rename(made.with_name(made.name.removeprefix(UNHELD))), file


def abandoned(prefix: str) -> Iterator[Path]:
    """The folders of that prefix whose processes are gone. Other people's cannot be opened and are left out."""
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        with suppress(OSError), FileIO(folder / LOCK, "r+") as file:
            if _lock(file):
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
