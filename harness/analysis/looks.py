"""The planned looks at a contest or gate: after how many rounds its intervals are read, and at which confidence."""

from harness.model.rules import LOOKS

__all__ = ("CONFIDENCE", "HOPELESS", "LOOKED_AT", "LOOKS", "looks")

CONFIDENCE = 0.95
HOPELESS = 60
"""More rounds than anybody would wait for."""
LOOKED_AT = 0.97
"""Student's confidence of every look at a contest that ends once its interval is narrow enough.

One level for all planned looks is Pocock's design (Biometrika 64, 1977), and ending on the width of the interval that
of Chow and Robbins (Ann. Math. Stat. 36, 1965). For independent Gaussian rounds the mean says nothing of the width, so
that the coverage at the end depends only on noise over precision: with this level it is 94.5 to 97.0 % whatever that
is, where 0.95 would give 91.6 to 95.0 % (docs/experiments/looks.py).
"""


def looks(most: int) -> tuple[int, ...]:
    """The planned looks of at most `most` rounds; the last one is at their end."""
    return (*(look for look in LOOKS if look < most), most)
