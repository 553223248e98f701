"""What installed packages declare as entry points: `name = "module:object"`, under one group for one kind of thing.

Only the declarations are read here: no such package is imported.
"""

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from importlib.metadata import entry_points

IMPLEMENTATION_GROUP = "bitlinear_bench.implementations"
"""The group of contestants, `name = "module:object"`."""
SUITE_GROUP = "bitlinear_bench.suites"
"""The group of suites, `name = "module"`."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""What needs no quoting on the command line, and no escape in the name of a case."""
_OTHERWISE = {IMPLEMENTATION_GROUP: "it can be had as {}", SUITE_GROUP: "it can be had by --suites {}"}
"""How to get what cannot be had by its name."""


@dataclass(frozen=True)
class Installed:
    """One declaration: `name = "reference"` of a distribution."""

    name: str
    reference: str
    package: str
    version: str

    @property
    def summary(self) -> str:
        """The line in a list of such things."""
        return f"{self.reference}, from {self.package} {self.version}"


def installed(group: str, taken: Collection[str]) -> tuple[dict[str, Installed], dict[str, tuple[str, ...]]]:
    """Those of `group` that can be had by name, in the order of their names; and by name, in sentences, why the others
    cannot.

    A name that is among `taken`, or that two packages claim, is nobody's: whichever package was installed first must
    not decide what a name means.
    """
    declared = sorted(
        {
            Installed(point.name, point.value.partition("[")[0].strip(), point.dist.name, point.dist.version)
            for point in entry_points(group=group)
            if point.dist
        },
        key=lambda one: (one.name, one.package, one.reference),
    )
    claims = Counter(one.name for one in declared)
    found: dict[str, Installed] = {}
    doubts: dict[str, list[str]] = {}
    for one in declared:
        if NAME.fullmatch(one.name) is None:
            why = "is no name; use letters, digits, dot, dash and underscore"
        elif one.name in taken:
            why = "is the name of one of bitbench's own"
        elif claims[one.name] > 1:
            why = "is claimed by other packages too"
        else:
            found[one.name] = one
            continue
        otherwise = _OTHERWISE[group].format(one.reference)
        doubts.setdefault(one.name, []).append(f"{one.name!r} of {one.package} {one.version} {why}; {otherwise}")
    return found, {name: tuple(texts) for name, texts in doubts.items()}
