"""Files that are replaced as a whole: a reader finds the previous content or the new one, never a part."""

import os
from pathlib import Path


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
