"""What every kind of metric declares: name, unit, which direction is better; and how it is told from another."""

import math
import re
from typing import Literal

import msgspec

KIND_WORDS = ("exact", "sampled", "paired", "portable")
"""Words that stand for several metrics, and so name none: `portable` ones may be compared between unlike machines."""
_TAKEN = (*KIND_WORDS, "run", "suite", "case", "implementation", "metric")
"""What is no name of a metric: the words above, and columns that every frame has."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_UNIT = re.compile(r"[^\W_\d]\S{0,11}|1(/\S{1,10})?|%")
_IN_WORDS = ("name", "title", "heading")
"""Fields that change no number and no verdict."""


class Declared(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """What all kinds declare."""

    name: str
    """As in tables, frames and options: lower-case letters, digits and underscores."""
    title: str = ""
    """What it is, in a few words."""
    heading: str = ""
    """Of its column; empty means its name."""
    unit: str = "1"
    """`s`, `B`, `bit`, `dB`, `1` for a bare number, or any other. Values are in it, never in a multiple."""
    better: Literal["lower", "higher"]
    informative: bool = False
    """Shown, never judged."""
    distribution: bool = False
    """Its values are the shares of a histogram: drawn, and never summarised or compared, as they have no centre."""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name) or self.name in _TAKEN:
            raise ValueError(
                f"{self.name!r} is no name of a metric: give lower-case letters, digits and underscores, and none of"
                f" {', '.join(_TAKEN)}"
            )
        if not isinstance(self.unit, str) or not _UNIT.fullmatch(self.unit):
            raise ValueError(
                f"metric {self.name}: unit {self.unit!r}; give a short one without spaces, as s, B, dB, J or 1/s,"
                " or 1 for a bare number"
            )
        if self.better not in ("lower", "higher"):
            raise ValueError(f"metric {self.name}: better={self.better!r}; give 'lower' or 'higher'")
        for field in ("tolerance", "relative_tolerance"):
            if not 0 <= getattr(self, field, 0.0) < math.inf:
                raise ValueError(f"metric {self.name}: {field}={getattr(self, field)!r}; give a number, 0 or more")

    @property
    def label(self) -> str:
        """The heading of its column, with spaces where a line may end."""
        return self.heading or self.name.replace("_", " ")

    @property
    def is_never_negative(self) -> bool:
        """Whether its unit counts something."""
        return self.unit in ("s", "B", "bit")

    def otherwise(self, other: "Declared") -> str:
        """What `other`, of the same name, declares that this one does not, in words; empty where that is nothing."""
        mine, theirs = (_said(one) for one in (self, other))
        differing = (field for field in {**mine, **theirs} if mine.get(field) != theirs.get(field))
        return ", ".join(
            f"{field.replace('_', ' ')} {_plain(theirs.get(field))} and not {_plain(mine.get(field))}"
            for field in differing
        )


def _said(metric: Declared) -> dict[str, object]:
    """What a declaration says of numbers and verdicts, its kind among it."""
    fields = msgspec.to_builtins(metric)
    return {name: value for name, value in fields.items() if name not in _IN_WORDS}


def _plain(value: object) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:g}"
    return str(value)
