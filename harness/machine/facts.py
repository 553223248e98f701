"""What was once found out about this machine: one small file a fact, in the user's cache.

The folder may be shared by many machines, so a fact is of one machine and not of its kind, where it is known.

A cache only saves time, so whatever is wrong with it, the fact counts as unknown.
"""

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from harness.model import Environment, comparable
from harness.store import files

Fact = TypeVar("Fact")


def load(environment: Environment, kind: str, of: type[Fact], *key: str) -> Fact | None:
    """The fact of some kind about the machine of `environment`, or None. `key` tells several of a kind apart."""
    try:
        return msgspec.json.decode(_file(environment, kind, key).read_bytes(), type=of)
    except (OSError, RuntimeError, msgspec.MsgspecError):  # RuntimeError: there is no home directory
        return None


def store(environment: Environment, kind: str, fact: object, *key: str) -> None:
    """Keep a fact in place of the one before. Does nothing where nothing can be kept."""
    with suppress(OSError, RuntimeError):  # a full disk or no home directory: it is found out again next time
        path = _file(environment, kind, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        files.replace(path, msgspec.json.encode(fact))


def _file(environment: Environment, kind: str, key: tuple[str, ...]) -> Path:
    """Raises RuntimeError without a home directory."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    text = "\n".join([environment.machine, *comparable(environment), *key])
    return home / "bitlinear-bench" / kind / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"
