"""Plan: which layer of a model gets which scheme, and the file that holds it. Imports no torch."""

import difflib
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeAlias

from bitlinear.scheme import Scheme

VERSION = 1
_KEY = "bitlinear_plan"
_KEYS = (_KEY, "note", "default", "layers")
_PATTERN_SIGNS = frozenset("*?[")


class PlanError(ValueError):
    """A plan that cannot be read, or does not fit a model; the message is one line."""


@dataclass(frozen=True)
class Plan:
    """Schemes by the qualified names of layers; None leaves a layer in full precision.

    Names may be patterns of `fnmatch`, which match a whole qualified name: `*` also matches dots. An exact name wins
    over every pattern, and of several patterns the last one wins. `default` is for the layers that nothing names.
    """

    layers: Mapping[str, Scheme | None] = field(default_factory=dict)
    default: Scheme | None = None
    note: str = ""
    """For people."""

    @classmethod
    def of(cls, given: "Schemes") -> "Plan":
        """The plan that `given` stands for; a text that ends in `.json` is the name of a file, any other a scheme.

        Raises PlanError and ValueError for what cannot be read, TypeError for another kind of thing.
        """
        if isinstance(given, Plan):
            return given
        if isinstance(given, Mapping):
            return cls({_name(name): _scheme(name, scheme) for name, scheme in given.items()})
        if isinstance(given, os.PathLike) or (isinstance(given, str) and given.endswith(".json")):
            return cls.load(given)
        return cls(default=Scheme.of(given))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Plan":
        """The plan in a JSON file. Raises PlanError, in one line, for a file that holds none."""
        try:
            content = json.loads(Path(path).read_text("utf-8"), object_pairs_hook=_without_repeats)
        except OSError as error:
            raise PlanError(f"the plan {path} cannot be read: {error.strerror}") from error
        except (ValueError, RecursionError) as error:
            raise PlanError(f"the plan {path} is no JSON: {' '.join(str(error).split())}") from error
        try:
            return _plan(content)
        except ValueError as error:
            raise PlanError(f"the plan {path}: {error}") from error

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the plan as JSON, which `load` reads."""
        content = {
            _KEY: VERSION,
            "note": self.note,
            "default": _text(self.default),
            "layers": {name: _text(scheme) for name, scheme in self.layers.items()},
        }
        Path(path).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", "utf-8")

    def __str__(self) -> str:
        """Its schemes, in the order in which they are written."""
        schemes = [self.default, *self.layers.values()]
        return " or ".join(dict.fromkeys(str(one) for one in schemes if one is not None)) or "in full precision"

    def scheme_of(self, qualified_name: str) -> Scheme | None:
        """The scheme of a layer, as the plan writes it; None: the layer stays in full precision."""
        rule = self.rule_of(qualified_name)
        return self.default if rule is None else self.layers[rule]

    def rule_of(self, qualified_name: str) -> str | None:
        """The name or pattern that decides about a layer; None: the default does."""
        if qualified_name in self.layers:
            return qualified_name
        return next((rule for rule in reversed(list(self.layers)) if _matches(rule, qualified_name)), None)

    def require_matches(self, names: Iterable[str]) -> None:
        """Raises PlanError, with near names, for names and patterns of the plan that match none of these layers."""
        known = list(names)
        for rule in self.layers:
            if not any(_matches(rule, name) for name in known):
                raise PlanError(f"the plan names {rule!r}, which matches no layer; {_near(rule, known)}")


Schemes: TypeAlias = Plan | Scheme | str | os.PathLike[str] | Mapping[str, Scheme | str | None]
"""One scheme for all layers, or a plan: the object, its file, or its `layers`."""


def _matches(rule: str, name: str) -> bool:
    return rule == name or (not _PATTERN_SIGNS.isdisjoint(rule) and fnmatchcase(name, rule))


def _near(rule: str, known: list[str]) -> str:
    """Names like `rule`, numbers as `*`: layers that differ in a number alone are one suggestion."""
    named = {re.sub(r"(?<![^.])\d+(?![^.])", "*", name): name for name in known}
    choices = dict.fromkeys([*named, *known]) if _PATTERN_SIGNS.isdisjoint(rule) else named
    near = difflib.get_close_matches(rule, choices, 3)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"the model has: {', '.join(list(named)[:20]) or 'no layers'}"


def _plan(content: Any) -> Plan:
    if not isinstance(content, dict) or _KEY not in content:
        raise ValueError(f'it is no plan; write {{"{_KEY}": {VERSION}, "default": "w4a8gs64-nonorm", "layers": {{}}}}')
    if content[_KEY] != VERSION or isinstance(content[_KEY], bool):
        raise ValueError(f'"{_KEY}" is {content[_KEY]!r}; this version of bitlinear reads {VERSION}')
    if unknown := [key for key in content if key not in _KEYS]:
        raise ValueError(f"unknown key {unknown[0]!r}; it may have: {', '.join(_KEYS)}")
    layers, note = content.get("layers", {}), content.get("note", "")
    if not isinstance(layers, dict) or not isinstance(note, str):
        raise ValueError('"layers" must be an object of names and schemes, and "note" a text')
    return Plan({n: _scheme(n, s) for n, s in layers.items()}, _scheme("default", content.get("default")), note)


def _scheme(name: object, given: object) -> Scheme | None:
    if given is None or isinstance(given, Scheme):
        return given
    if not isinstance(given, str):
        raise PlanError(f"{name!r} is {given!r}; give a scheme such as 'w4a8-nonorm', or null for full precision")
    try:
        return Scheme.parse(given)
    except ValueError as error:
        raise PlanError(f"{name!r}: {error}") from error


def _name(name: object) -> str:
    if not isinstance(name, str):
        raise PlanError(f"{name!r} is a {type(name).__name__}; layers are given by qualified names or patterns of them")
    return name


def _text(scheme: Scheme | None) -> str | None:
    return None if scheme is None else str(scheme)


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} is there twice")
    return content
