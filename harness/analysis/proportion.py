"""A share of a count, with its interval."""

import msgspec

from harness.estimators.looks import CONFIDENCE
from harness.model import Count


class Share(msgspec.Struct, frozen=True):
    """How many of how many, with the exact interval of Clopper and Pearson (1934)."""

    hits: Count
    of: Count
    lo: float
    hi: float

    @classmethod
    def count(cls, hits: int, of: int) -> "Share":
        """The interval is 0 to 1 where there is nothing to count."""
        if not of:
            return cls(0, 0, 0.0, 1.0)
        from scipy.stats import binomtest  # late: a third of a second

        interval = binomtest(hits, of).proportion_ci(CONFIDENCE, method="exact")
        return cls(hits, of, float(interval.low), float(interval.high))

    def __str__(self) -> str:
        part = f"{100 * self.hits / self.of:.0f} %" if self.of else "?"
        return f"{self.hits} of {self.of}, {part} [{100 * self.lo:.1f}, {100 * self.hi:.1f}]"
