"""Which package of suites is meant: one that is named, the project's own, or one that an installed package declares."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from harness.errors import UsageError
from harness.model.suite import DEFAULT_MODULE, Registry
from harness.model.units import choices
from harness.user_code.folders import folders
from harness.user_code.installed import SUITE_GROUP, Installed, installed
from harness.user_code.shadowing import MARKS


def registry_for(suites: Sequence[str], package: str = "") -> Registry:
    """The package of suites called `package`, or else the one that has `suites`: the project's own for none.

    Raises UsageError for what is no package of suites, and for suites that nobody has, or several.
    """
    own = Registry.load(DEFAULT_MODULE)
    if package and package != DEFAULT_MODULE:
        return _theirs(package, own)
    if all(name in own.suites for name in suites):
        return own
    found, disputed = installed(SUITE_GROUP, own.suites)
    for name in suites:
        if name not in own.suites and name not in found:
            known = choices(name, (*own.suites, *found))
            raise UsageError("; ".join(disputed.get(name, (f"unknown suite {name!r}; {known}",))))
    modules = {name: found[name].reference if name in found else DEFAULT_MODULE for name in suites}
    if len({*modules.values()}) > 1:
        told = ", ".join(f"{name} is of {module}" for name, module in modules.items())
        raise UsageError(f"a run is of one package of suites, and {told}: run them one by one")
    registry = _theirs(modules[suites[0]], own)
    for name in suites:
        if name not in registry.suites:
            raise UsageError(f"{name!r} should be in {found[name].summary}; {choices(name, registry.suites)}")
    return registry


def declared_suites() -> tuple[dict[str, Installed], tuple[str, ...]]:
    """The suites of installed packages by name, none of which is imported, and why others cannot be had by name."""
    found, disputed = installed(SUITE_GROUP, Registry.load(DEFAULT_MODULE).suites)
    return found, tuple(doubt for some in disputed.values() for doubt in some)


def package_of(registry: Registry) -> str:
    """As a request has it."""
    return "" if registry.module == DEFAULT_MODULE else registry.module


def _theirs(module: str, own: Registry) -> Registry:
    """Raises UsageError where a suite is called like one of the project's: stored runs could not be told apart."""
    top = module.partition(".")[0]
    with _searched_first(folders(Path.cwd())):
        try:
            registry = Registry.load(module)
        except UsageError as error:
            cure = f"; {top} is bitbench's own package: call yours otherwise" if top in MARKS else ""
            raise UsageError(f"{error}{cure}") from error
    for name, suite in registry.suites.items():
        if name in own.suites and suite is not own.suites[name]:
            raise UsageError(f"{module} has a suite {name!r}, which is the name of one of bitbench's own: rename yours")
    return registry


@contextmanager
def _searched_first(places: Sequence[str]) -> Iterator[None]:
    """Import from these folders, as workers do; later only what is found nowhere else, so that they hide nothing."""
    before = list(sys.path)
    sys.path[:] = [*places, *before]
    try:
        yield
    finally:
        sys.path[:] = [*before, *(place for place in places if place not in before)]
