"""A case: one implementation at one point of a suite's axes, and the one spelling of its name."""

import math
from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import TypeAlias
from urllib.parse import quote, unquote

import msgspec

Value: TypeAlias = int | float | str


Params: TypeAlias = dict[str, Value]


def normalise_value(value: object) -> Value:
    """The one spelling of an axis value: numbers as numbers, so that `"1"` and `1` name the same case.

    Python reads the digits of every script, and `1_0` as 10; here they are words, and no axis of numbers takes them.
    """
    text = str(value).strip()
    for number in (int, float) if text.isascii() and "_" not in text else ():
        try:
            parsed = number(text)
        except ValueError:
            continue
        if math.isfinite(parsed):
            return parsed
    return text


@lru_cache(maxsize=4096)
def _escape(text: str) -> str:
    """Kept, because the names of thousands of cases are made of the same few words."""
    return quote(text, ".:+,@ ")


class Case(msgspec.Struct, frozen=True, eq=False, dict=True):
    """One implementation at one point of a suite's axes. `params` never holds the implementation itself.

    Its names are spelled once: whatever gathers records asks for them again and again.
    """

    suite: str
    implementation: str
    params: Params

    @classmethod
    def of(cls, suite: str, implementation: str, params: Mapping[str, object]) -> "Case":
        """A case whose params are in sorted order and in their one spelling."""
        return cls(suite, implementation, {key: normalise_value(params[key]) for key in sorted(params)})

    @classmethod
    def parse(cls, name: str) -> "Case":
        """The case that `name` names. Raises ValueError when `name` is not of the form that `Case.name` writes."""
        suite, *parts = name.split("/")
        pairs = dict(part.split("=", 1) for part in parts if "=" in part)
        if not suite or len(pairs) != len(parts) or "implementation" not in pairs:
            raise ValueError(f"not a case name: {name!r}; expected suite/implementation=NAME/key=value/...")
        params = {unquote(key): unquote(value) for key, value in pairs.items()}
        return cls.of(unquote(suite), params.pop("implementation"), params)

    @cached_property
    def name(self) -> str:
        """Round-trips through `parse`: `latency/implementation=eager/k=2560/m=1/n=6912/scheme=w1.58a8`."""
        return self._name({**self.params, "implementation": self.implementation})

    @cached_property
    def contest(self) -> str:
        """The name without the implementation: cases that share it are timed against each other."""
        return self._name(self.params)

    def _name(self, params: Mapping[str, Value]) -> str:
        pairs = [f"{_escape(key)}={_escape(str(params[key]))}" for key in sorted(params)]
        return "/".join([_escape(self.suite), *pairs])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Case) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)
