"""Ceilings that were measured on this machine before, by device and number of threads.

A noisy first measurement heals, because the higher of what is known and what is measured later is kept.
"""

from harness.machine import facts
from harness.model import Ceilings, Environment
from harness.model.ceilings import merge

KIND = "ceilings-3"
"""The number is raised when they are measured in another way: what was measured before is then not known any more."""


def recall(environment: Environment, device: str, threads: int) -> Ceilings | None:
    """What is known of `device` with `threads` threads on this machine, or None."""
    found = facts.load(environment, KIND, Ceilings, device, str(threads))
    return found if found and (found.device, found.threads) == (device, threads) else None


def remember(environment: Environment, ceilings: Ceilings) -> None:
    """Keep the higher of these and of those known before, each by itself. Does nothing where nothing can be kept."""
    device, threads = ceilings.device, ceilings.threads
    known = recall(environment, device, threads)
    facts.store(environment, KIND, merge(known, ceilings) if known else ceilings, device, str(threads))
