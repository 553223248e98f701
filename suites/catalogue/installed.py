"""Contestants that installed packages bring along, as entry points of the group `bitlinear_bench.implementations`.

Only their declarations are read here: neither torch nor any such package is imported.
"""

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from importlib.metadata import entry_points

GROUP = "bitlinear_bench.implementations"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""What needs no quoting on the command line, and no escape in the name of a case."""


@dataclass(frozen=True)
class Installed:
    """One declaration: `name = "reference"` of a distribution."""

    name: str
    reference: str
    package: str
    version: str

    @property
    def summary(self) -> str:
        """The line in the list of implementations."""
        return f"{self.reference}, from {self.package} {self.version}"


def installed(taken: Collection[str]) -> tuple[dict[str, Installed], tuple[str, ...]]:
    """Those that can be had by name, in the order of their names; and a sentence for each that cannot.

    A name that is among `taken`, or that two packages claim, is nobody's: whichever package was installed first must
    not decide what a name means. All can still be had by their references.
    """
    declared = sorted(
        {
            Installed(point.name, point.value.partition("[")[0].strip(), point.dist.name, point.dist.version)
            for point in entry_points(group=GROUP)
            if point.dist
        },
        key=lambda one: (one.name, one.package, one.reference),
    )
    claims = Counter(one.name for one in declared)
    found: dict[str, Installed] = {}
    doubts = []
    for one in declared:
        if _NAME.fullmatch(one.name) is None:
            why = "is no name; use letters, digits, dot, dash and underscore"
        elif one.name in taken:
            why = "is the name of one of bitbench's own"
        elif claims[one.name] > 1:
            why = "is claimed by other packages too"
        else:
            found[one.name] = one
            continue
        doubts.append(f"{one.name!r} of {one.package} {one.version} {why}; it can be had as {one.reference}")
    return found, tuple(doubts)
