"""Golden output: what a command prints, kept as files beside the tests.

`UPDATE_GOLDEN=1 pytest tests/harness` writes them anew; read the difference before committing it.
"""

import os
from pathlib import Path

DIRECTORY = Path(__file__).parent / "expected"


def check(name: str, text: str) -> None:
    """Fail unless `text` is what the golden file `name` holds."""
    path = DIRECTORY / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text(), f"differs from {path}; UPDATE_GOLDEN=1 writes it anew"
