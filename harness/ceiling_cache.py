"""Ceilings that were measured on this machine before: one small file for each machine, device and number of threads.

A cache only saves time and lets a noisy first measurement heal, so whatever is wrong with it, the ceilings are simply
measured anew.
"""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

import msgspec

from harness.ceiling import merge
from harness.environment import comparable
from harness.model import Ceilings, Environment


def load(environment: Environment, device: str, threads: int) -> Ceilings | None:
    """What is known of `device` with `threads` threads on this machine, or None."""
    try:
        found = msgspec.json.decode(_file(environment, device, threads).read_bytes(), type=Ceilings)
    except (OSError, RuntimeError, msgspec.MsgspecError):  # RuntimeError: there is no home directory
        return None
    return found if (found.device, found.threads) == (device, threads) else None


def store(environment: Environment, ceilings: Ceilings) -> None:
    """Keep the higher of these and of those known before, each by itself. Does nothing where nothing can be kept."""
    known = load(environment, ceilings.device, ceilings.threads)
    content = msgspec.json.encode(merge(known, ceilings) if known else ceilings)
    with suppress(OSError, RuntimeError):  # a full disk or no home directory: the next run measures again
        path = _file(environment, ceilings.device, ceilings.threads)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.partial")
        partial.write_bytes(content)
        partial.replace(path)


def _file(environment: Environment, device: str, threads: int) -> Path:
    """Raises RuntimeError without a home directory."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    key = "\n".join([*comparable(environment), device, str(threads)])
    return home / "bitlinear-bench" / "ceilings" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"
