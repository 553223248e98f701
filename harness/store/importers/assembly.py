"""From files of another tool to a run: several files are several processes, so that their rounds follow each other."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from harness.errors import StoreError
from harness.model import (
    SUMMARY,
    Case,
    Environment,
    Measurement,
    Metric,
    Origin,
    Record,
    Request,
    Revision,
    Run,
    differences,
)
from harness.model.codec import encode
from harness.store.importers.benchmark import Benchmark, ForeignFile, Round
from harness.store.importers.registry import read
from harness.store.importers.source import Source

UNKNOWN_MACHINE = "the file does not tell what machine it is from: compare it with files of the same machine only"
_AGAIN = "occurrence"
"""The param of a second benchmark of the same name in one file."""


def imported(paths: Sequence[Path], name: str = "") -> tuple[Run, list[Record]]:
    """The run that the files at `paths` make together, and its records. `name` is that of the format, if it is given.

    Raises StoreError, in one line, for a file that cannot be read, that holds no benchmark, or that does not belong to
    the first: another tool's, machine's or commit's. Raises UsageError for an unknown `name`.
    """
    files = [read(path, name) for path in paths]
    _require_like(files, paths)
    records: list[Record] = []
    first = 0
    for file in files:
        benchmarks = _distinct(file.benchmarks)
        for one in benchmarks:
            records += _records(one, first, file)
        first += max((len(one.rounds) for one in benchmarks), default=0)
    if not records:
        raise StoreError(f"{', '.join(map(str, paths))}: no benchmark is in it; run some and write it anew")
    return _header(files, paths, records), records


def _require_like(files: Sequence[ForeignFile], paths: Sequence[Path]) -> None:
    """Raise StoreError where the files are not of one tool, machine and commit: they would make no one run."""
    for file, path in zip(files, paths, strict=True):
        unlike = _unlike(files[0], file)
        if unlike:
            raise StoreError(f"{path} and {paths[0]} are not of one run ({unlike}): import each by itself")


def _unlike(one: ForeignFile, other: ForeignFile) -> str:
    if one.tool != other.tool:
        return f"{other.tool} and {one.tool}"
    if one.revision.commit != other.revision.commit:
        return f"commit {other.revision.commit[:7] or 'unknown'} and {one.revision.commit[:7] or 'unknown'}"
    return "; ".join(differences(other.environment, one.environment))


def _distinct(benchmarks: Sequence[Benchmark]) -> list[Benchmark]:
    """Each with a case of its own: the second of one name is told by its place among those that bear it."""
    seen: dict[Case, int] = {}
    distinct = []
    for one in benchmarks:
        seen[one.case] = seen.get(one.case, 0) + 1
        if seen[one.case] > 1:
            params = one.case.params | {_AGAIN: seen[one.case]}
            one = replace(one, case=Case.of(one.case.suite, one.case.implementation, params))
        distinct.append(one)
    return distinct


def _records(one: Benchmark, first: int, file: ForeignFile) -> Iterator[Record]:
    facts = one.facts | ({SUMMARY: one.summary} if one.summary else {})
    machine = (file.environment.cpu_model, file.environment.gpu)
    doubts = (UNKNOWN_MACHINE,) if machine == (Environment().cpu_model, Environment().gpu) else ()
    for number, taken in enumerate(one.rounds or [Round(outcome="failed", reason="the file has no value of it")]):
        ended = _impossible(taken) or taken
        measurements = tuple(
            Measurement(metric.name, tuple(map(float, values)), ended.calls if metric.unit == "s" else 1)
            for metric, values in ended.values.items()
        )
        yield Record(one.case, first + number, ended.outcome, ended.reason, measurements, facts, warnings=doubts)


def _impossible(taken: Round) -> Round | None:
    """A round that failed in place of one with a value that cannot be."""
    for metric, values in taken.values.items():
        if metric.is_never_negative and any(value < 0 for value in values):
            return Round(outcome="failed", reason=f"the file has a negative {metric.name}")
    if taken.outcome == "measured" and not any(taken.values.values()):
        return Round(outcome="failed", reason="the file has no value of it")
    return None


def _header(files: Sequence[ForeignFile], paths: Sequence[Path], records: Sequence[Record]) -> Run:
    first = files[0]
    dates = [file.started or Source(path).changed for file, path in zip(files, paths, strict=True)]
    started, names = min(dates), tuple(path.name or path.resolve().name for path in paths)
    digest = hashlib.sha256(b"\n".join(map(encode, records))).hexdigest()
    suites = tuple(dict.fromkeys(record.case.suite for record in records))
    return Run(
        id=f"{re.sub('[-:]', '', started)}-{first.tool}-{digest[:7]}",
        started=started,
        request=Request(suites=suites),
        order=f"as {first.tool} took them",
        metrics=tuple(_metrics(files, paths).values()),
        environment=first.environment,
        revision=Revision(first.revision.commit, any(file.revision.dirty for file in files)),
        argv=("bitbench", "import", *names),
        origin=Origin(first.tool, first.version, names),
    )


def _metrics(files: Sequence[ForeignFile], paths: Sequence[Path]) -> dict[str, Metric]:
    """Those that were measured, by name. Raises StoreError for one that means two things."""
    known: dict[str, Metric] = {}
    for file, path in zip(files, paths, strict=True):
        for metric in (metric for one in file.benchmarks for taken in one.rounds for metric in taken.values):
            if differing := known.setdefault(metric.name, metric).otherwise(metric):
                raise StoreError(f"{path}: two kinds of {metric.name} ({differing}): import its benchmarks apart")
    return known
