"""github-action-benchmark: the arrays of its custom tools, and `data.js`, its page of results. One value a benchmark.

The array does not say which direction is better: a time is better lower and a rate better higher, and what is neither
is shown and not judged. In `data.js` the tool of an entry says it: the action turns the seconds of pytest-benchmark
into iterations a second. Of a page with many commits the last one of each suite counts.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal

import msgspec

from harness.errors import StoreError
from harness.model import Case, Revision
from harness.store.importers.benchmark import Benchmark, ForeignFile, Round, case_of, named
from harness.store.importers.quantities import quantity
from harness.store.importers.source import Source, checked, json_of, said_at, unreadable

TOOL = "github-action-benchmark"
_PAGE = "window.BENCHMARK_DATA"
_BIGGER = ("customBiggerIsBetter", "pytest", "benchmarkjs", "julia", "jmh_throughput")
"""Tools of an entry whose values are better higher whatever their unit."""
_AGGREGATE = re.compile(r".*_(?:mean|median|stddev|cv|BigO|RMS)")
"""Names that Google Benchmark gives to what is made of several rows; the action takes them for benchmarks, too."""


class _Bench(msgspec.Struct, frozen=True):
    name: str
    unit: str
    value: float | str


class _Commit(msgspec.Struct, frozen=True):
    id: str = ""


class _Entry(msgspec.Struct, frozen=True):
    benches: list[_Bench]
    tool: str = ""
    date: float = 0.0
    commit: _Commit = _Commit()


class _Page(msgspec.Struct, frozen=True):
    entries: dict[str, list[_Entry]]


def recognises(source: Source) -> bool:
    """Whether this format has such content."""
    match source.content:
        case [{"name": _, "unit": _, "value": _}, *_] | {"entries": dict(), "repoUrl": _}:
            return True
    return source.text.lstrip().startswith(_PAGE)


def read(source: Source) -> ForeignFile:
    """Its benchmarks. Raises StoreError for a file that is not whole."""
    if isinstance(source.content, list):
        benches = source.as_kind(list[_Bench], TOOL)
        return ForeignFile(TOOL, _gathered([_benchmark(one, "", "", source) for one in benches]))
    page = checked(_page(source), _Page, source.path, TOOL)
    latest = {suite: entries[-1] for suite, entries in page.entries.items() if entries}
    commits = {entry.commit.id for entry in latest.values()}
    if len(commits) > 1:
        raise StoreError(
            f"{source.path}: the last entries of its suites are of {len(commits)} commits; give the array of one commit"
        )
    when = max((entry.date for entry in latest.values()), default=0.0)
    return ForeignFile(
        TOOL,
        _gathered(_benchmark(one, suite, entry.tool, source) for suite, entry in latest.items() for one in _raw(entry)),
        started=said_at(datetime.fromtimestamp(when / 1000, UTC)) if 0 < when < _LAST else "",
        revision=Revision(next(iter(commits), "")),
    )


_LAST = 253402300799000
"""Milliseconds to the end of the year 9999."""


def _page(source: Source) -> object:
    if source.content is not None:
        return source.content
    content, broken = json_of(source.text.lstrip().removeprefix(_PAGE).lstrip(" =").rstrip(" ;\n"))
    if content is None:
        raise unreadable(source.path, TOOL, broken or f"after {_PAGE} there is no object")
    return content


def _gathered(benchmarks: Iterable[Benchmark]) -> list[Benchmark]:
    """The metrics of one case, which `bitbench export` wrote an entry each, are one benchmark."""
    cases: dict[Case, list[Benchmark]] = {}
    for one in benchmarks:
        same = cases.setdefault(one.case, [])
        if same and not same[-1].rounds[0].values.keys() & one.rounds[0].values.keys():
            both = {**same[-1].rounds[0].values, **one.rounds[0].values}
            same[-1] = replace(same[-1], rounds=[Round(both)])
        else:
            same.append(one)
    return [one for group in cases.values() for one in group]


def _raw(entry: _Entry) -> list[_Bench]:
    names = {one.name for one in entry.benches}
    made = {name for name in names if _AGGREGATE.fullmatch(name) and name.rpartition("_")[0] in names}
    return [one for one in entry.benches if one.name not in made]


def _benchmark(one: _Bench, suite: str, tool: str, source: Source) -> Benchmark:
    try:
        value = float(one.value)
    except ValueError:
        raise unreadable(source.path, TOOL, f"the value {one.value!r} of {one.name} is no number") from None
    case, metric = named(one.name, TOOL)
    if suite and case.suite == TOOL:
        case = case_of(suite, case.implementation, case.params, TOOL)
    direction: Literal["higher", "lower", ""] = "higher" if tool in _BIGGER else ""
    direction = "lower" if tool == "customSmallerIsBetter" else direction
    measured = quantity(metric, one.unit, direction)
    return Benchmark(case, [Round({measured.metric: (measured.of(value),)})], summary="mean")
