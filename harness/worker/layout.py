"""Where a contestant lies in memory: built anew now and then while it is timed, so that no place decides a round.

Two builds of the same code differ by a few per cent for as long as they live, because their weights share cache sets
or pages with other things or do not. That luck is not the contestant's; many builds a round average it out.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

Made = TypeVar("Made")

SHARE = 4.0
"""A build is kept until it has been timed for this many times what building it took."""
BALLAST = 1 << 20
"""Bytes of what is put between two builds, at most."""


@dataclass
class Layout:
    """Decides when a build has had its time."""

    cost: float
    """Seconds that building and the first call took."""
    timed: float = 0.0
    """Seconds that the build has been timed for."""
    builds: int = 1
    _ballast: list[bytes] = field(default_factory=list)

    @property
    def is_due(self) -> bool:
        """Whether another build costs little beside the time that this one was used."""
        return self.timed >= SHARE * self.cost

    def rebuild(self, build: Callable[[], Made], now: Callable[[], float]) -> Made:
        """What `build` makes, at another place: the old build is still there, and something of random size between."""
        self._ballast = [bytes(random.randrange(BALLAST)) for _ in range(random.randrange(4))]
        start = now()
        made = build()
        self.cost, self.timed, self.builds = now() - start, 0.0, self.builds + 1
        return made
