"""How many modules a reader visits who follows one value through the program: `python docs/experiments/house/walks.py`.

A visit is to a module with a function that the value goes through: one that makes it, makes something else of it, or
hands it on. Plain data (the nouns of `harness.model`), the vocabulary of units and names, and whoever is only asked
whether the value may stand (guards, ceilings, voided blocks) are no visits; nor is the file of a package itself.

`walks.toml` has the walks. Each is checked against the source: its modules exist, none comes twice, and each is joined
with one before it: by an import of either, as a value goes down into a call and comes back up, or by a call that no
import shows, of which another module knows. The status is 1 where a walk does not hold, or is longer than it may be.
"""

import ast
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from figures import ROOT, name_of

PACKAGES = ("bitlinear", "harness", "suites")


class Step(NamedTuple):
    """A module, what becomes of the value there, and who knows of the call that no import shows."""

    module: str
    there: str
    by: str = ""


class Walk(NamedTuple):
    """A value's way through `steps`, which are to be at most so many."""

    name: str
    value: str
    most: int
    steps: Sequence[Step]


def walks() -> list[Walk]:
    """Those of `walks.toml`."""
    told = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())["walk"]
    return [Walk(**one | {"steps": [Step(**step) for step in one["steps"]]}) for one in told]


def modules() -> dict[str, str]:
    """The text of every module of the program, by name."""
    paths = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    return {name_of(str(path.relative_to(ROOT))): path.read_text() for path in paths}


def faults(walk: Walk, texts: Mapping[str, str]) -> Iterator[str]:
    """Why the walk cannot be walked in these modules: a line each, nothing where it can."""
    before: list[str] = []
    for module, _, by in walk.steps:
        if module not in texts:
            yield f"({walk.name}) there is no module {module}"
        elif module in before:
            yield f"({walk.name}) {module} comes twice"
        elif before and not _joined(module, before, by, texts):
            yield f"({walk.name}) nothing joins {module} with a module before it"
        before.append(module)


def _joined(module: str, before: Sequence[str], by: str, texts: Mapping[str, str]) -> bool:
    if by:
        known = _imports(by, texts) if by in texts else set()
        return by in texts and (_spells(module, texts[by]) or (module in known and not known.isdisjoint(before)))
    others = [other for other in before if other in texts]
    return not _imports(module, texts).isdisjoint(others) or any(module in _imports(one, texts) for one in others)


def _spells(module: str, text: str) -> bool:
    """Whether a string in `text` names the module, or its package where another string is the rest of its name."""
    constants = (node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant))
    strings = {constant for constant in constants if isinstance(constant, str)}
    package, _, name = module.rpartition(".")
    return any(one.partition(":")[0] == module for one in strings) or {f"{package}.", name} <= strings


def _imports(module: str, texts: Mapping[str, str]) -> set[str]:
    """The modules that it imports, at any depth of nesting; where a package hands a name on, the module it is from."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(texts[module])):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                found |= _behind(str(node.module), alias.name, texts)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return found


def _behind(package: str, name: str, texts: Mapping[str, str]) -> set[str]:
    """Where `from package import name` leads: of a package that is imported whole, to all that it hands on."""
    if f"{package}.{name}" in texts:
        return {f"{package}.{name}", *_handed_on(f"{package}.{name}", texts).values()}
    return {package, _handed_on(package, texts).get(name, package)}


def _handed_on(package: str, texts: Mapping[str, str]) -> dict[str, str]:
    """The names that a package imports from modules in it, each with its module; nothing of a module."""
    inside = any(other.startswith(f"{package}.") for other in texts)
    nodes = ast.walk(ast.parse(texts.get(package, ""))) if inside else ()
    own = (node for node in nodes if isinstance(node, ast.ImportFrom) and str(node.module).startswith(f"{package}."))
    return {alias.asname or alias.name: str(node.module) for node in own for alias in node.names}


def main() -> int:
    """Print every walk with its length beside what is asked, and what is wrong with it."""
    texts, wrong = modules(), []
    for walk in walks():
        print(f"({walk.name}) {len(walk.steps)} modules, at most {walk.most}: {walk.value}")
        wide = max(len(step.module) for step in walk.steps)
        for module, there, by in walk.steps:
            print(f"    {module:{wide}}  {there}{f' (named in {by})' if by else ''}")
        wrong += faults(walk, texts)
        if len(walk.steps) > walk.most:
            wrong.append(f"({walk.name}) is longer than it may be")
    for fault in wrong:
        print(fault, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
