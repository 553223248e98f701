"""`bitbench run --resume`: go on with a run as it was begun, or extend it by more rounds, precision or time."""

import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import msgspec

from harness import store
from harness.analysis.convergence import in_words
from harness.analysis.results import FIXED
from harness.commands import options
from harness.commands.carrying_out import carry_out, tell
from harness.errors import IncomparableError, UsageError
from harness.machine.environment import combine, machine
from harness.machine.revision import revision
from harness.model import Aim, Metric, Request, Run, StoredRun, differences, known_metrics
from harness.model.extension import Extension, applied, extended_aims, request_to_go_on_by, rounds_made
from harness.model.suite import Registry
from harness.runner.controller import Controller
from harness.runner.plan import aims_of, make_plan, metrics_of
from harness.runner.pool import WorkerPool


def go_on(
    registry: Registry,
    out: Path | None,
    suites: tuple[str, ...],
    asked: Callable[[tuple[str, ...]], Request],
    changes: Mapping[str, str],
    *,
    dry_run: bool,
    now: str,
) -> int:
    """Go on with the run in `out` by what is `asked` of its suites; `changes` are the options given, by field.

    `now` is the time, as in a header.

    Raises UsageError for what cannot change any more, IncomparableError on another machine, StoreError without a run.
    """
    if out is None:
        raise UsageError("--resume needs --out DIR, the directory of the run to go on with")
    with ExitStack() as at_end:
        if dry_run:
            stored, writer = store.load(out), None
        else:
            stored, writer = store.reopen(out)
            at_end.push(writer)
        run = stored.run
        if run.pair:
            raise UsageError(f"the run in {out} is a side of a gate; go on with that by `bitbench gate --resume`")
        if suites and suites != run.request.suites:
            raise UsageError(f"the run in {out} is of {' '.join(run.request.suites)}; give --resume --out {out} alone")
        request = request_to_go_on_by(run, asked(run.request.suites), changes)
        aims = run.aims
        if (request.rounds, request.precision) != (run.request.rounds, run.request.precision):
            aims = extended_aims(aims, aims_of(request, registry), rounds_made(stored.records, by_suite=True))
        pool = WorkerPool(registry, run.request.memory_limit)
        at_end.callback(pool.close)
        if changed := differences(run.environment, combine(machine(), pool.description.environment)):
            raise IncomparableError(f"the run in {out} was begun on another machine: {'; '.join(changed)}")
        contests = [
            replace(one, aim=msgspec.structs.replace(one.aim, extended=aims.get(one.suite.name, FIXED).extended))
            for one in make_plan(request, registry, pool.description)
        ]
        _require_declared(out, run, metrics_of(contests))
        extensions = (*stored.extensions, *_extension(stored, request, aims, now))
        begun = extensions[-1].rounds if extensions else {}
        controller = Controller(contests, request, pool.start, ceilings=run.ceilings, begun=begun)
        if writer is None:
            tell(controller, pool, stored.records)
            return 0
        for extension in extensions[len(stored.extensions) :]:
            writer.extend(extension)
        return carry_out(controller, applied(run, extensions), writer, out, stored.records)


def _require_declared(out: Path, run: Run, metrics: Iterable[Metric]) -> None:
    """Raise UsageError where what is measured now is not what the run declares: its reader would take it for that."""
    known = known_metrics(run)
    for metric in metrics:
        if known.get(metric.name) != metric:
            how = "otherwise" if metric.name in known else "not at all"
            raise UsageError(f"the run in {out} was begun when {metric.name} was declared {how}: begin a new run")


def _extension(stored: StoredRun, request: Request, aims: Mapping[str, Aim], now: str) -> tuple[Extension, ...]:
    """What has to be written down before anything more is measured: nothing where all goes on as before."""
    run, code = stored.run, revision()
    before = stored.extensions[-1].revision if stored.extensions else run.revision
    if (request, code) == (run.request, before):
        return ()
    return (
        Extension(
            extended=now,
            request=request,
            aims=dict(aims),
            rules=tuple(in_words(suite, aim) for suite, aim in aims.items()) if aims != run.aims else (),
            rounds=rounds_made(stored.records),
            revision=code,
            argv=options.as_recorded(sys.argv[1:]),
        ),
    )
