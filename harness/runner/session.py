"""The one place that makes a run: workers and plan, header, records on the disk; a new run, or one that goes on.

Nothing is printed here: who watches is an argument, and what the user ought to be told is there to be asked for.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from harness import store
from harness.analysis.convergence import declared
from harness.analysis.results import FIXED
from harness.errors import IncomparableError, UsageError
from harness.machine.ceilings import remember
from harness.machine.environment import combine, machine
from harness.machine.revision import revision
from harness.model import Aim, Environment, Record, Request, Run, StoredRun, differences
from harness.model.environment import is_elsewhere, labels_in_words
from harness.model.metrics.kinds import Metric
from harness.model.metrics.table import select_metrics
from harness.model.run import known_metrics
from harness.model.stored_run import Extension, applied, extended_aims, request_to_go_on_by, rounds_made
from harness.model.suite import Registry
from harness.model.whole_model import WholeModel
from harness.runner.controller import Controller
from harness.runner.forecast import forecast, time_limit_in_words
from harness.runner.packages import registry_for
from harness.runner.plan import Contest, aims_of, check_names, make_plan, metrics_of, models_of, require_devices
from harness.runner.pool import WorkerPool
from harness.runner.progress import Watcher
from harness.runner.schedule import ORDER
from harness.store.places import RUNS, new_name

Watching = AbstractContextManager[Watcher]
"""Who sees what is measured, open while it is."""


@dataclass(frozen=True)
class RunSession:
    """What is to be measured for one request, and by whom. Nothing is written unless a run is begun."""

    registry: Registry
    request: Request
    pool: WorkerPool
    contests: Sequence[Contest]
    controller: Controller
    environment: Environment
    models: Sequence[WholeModel] = ()
    """Those that its suites are about."""

    @property
    def doubts(self) -> tuple[str, ...]:
        """What is wrong with the list of implementations, in sentences for the user."""
        return self.pool.description.doubts

    def forecast(self) -> Iterator[str]:
        """Lines that say what would be measured."""
        return forecast(self.controller, self.pool.description.unavailable)

    @property
    def time_limit(self) -> str:
        """When the run ends whatever is left, in words; nothing where that is never."""
        return time_limit_in_words(self.request, self.contests)

    def records(self, watching: Watching) -> list[Record]:
        """Measure, and keep nothing."""
        with watching as progress:
            return list(self.controller.records(progress))

    @contextmanager
    def begin(self, directory: Path | None, argv: Sequence[str]) -> Iterator["OpenRun"]:
        """A new run on the disk, in a directory of its own where none is given. Raises StoreError as `store.create`."""
        run = self._header(argv)
        self.controller.ceilings = list(run.ceilings)
        place, writer = (directory, store.create(directory, run)) if directory else store.create_in(RUNS, run)
        with writer:
            yield OpenRun(run, place, writer, self, ())

    def _header(self, argv: Sequence[str]) -> Run:
        started, code = datetime.now(UTC), revision()
        aims = aims_of(self.request, self.registry)
        return Run(
            id=new_name(started, "-".join(self.request.suites), code),
            started=_written(started),
            request=self.request,
            order=ORDER,
            rules=declared(),
            aims=aims,
            metrics=metrics_of(self.contests),
            ceilings=self.pool.ceilings(self.contests, self.environment),
            models=tuple(self.models),
            environment=self.environment,
            revision=code,
            argv=tuple(argv),
        )


@dataclass(frozen=True)
class OpenRun:
    """A run on the disk that is to be measured, or to be gone on with."""

    run: Run
    directory: Path
    writer: store.Writer | None
    """None where nothing is to be measured."""
    session: RunSession
    made: Sequence[Record]
    """What was there already."""

    def carry_out(self, watching: Watching) -> StoredRun:
        """Measure what is not yet made, and keep every record as it is made; the whole run, as it is read back.

        Raises StoreError when the disk refuses it. A KeyboardInterrupt passes, with a note that says how to go on.
        """
        assert self.writer is not None, "it was opened to be looked at"
        done = len(self.made)
        with watching as progress:
            try:
                for batch in self.session.controller.batches(progress):
                    self.writer.append_all(batch)
                    done += len(batch)
                    for record in batch:
                        progress.recorded(record)
            except KeyboardInterrupt as stop:
                stop.add_note(
                    f"interrupted: {done} finished records are in {self.directory};"
                    f" go on with: bitbench run --resume --out {self.directory}"
                )
                raise
        for ceilings in self.session.controller.ceilings:
            remember(self.run.environment, ceilings)
        return store.load(self.directory)


@contextmanager
def opened(registry: Registry, request: Request, labels: Mapping[str, str] | None = None) -> Iterator[RunSession]:
    """Workers and a plan for `request`; the workers are gone when it ends. `labels` are added to the machine's own.

    Raises UsageError for what does not exist here, NothingMeasuredError when no case is left, InvalidEnvironmentError
    when no worker starts.
    """
    request = with_chosen_metrics(request, registry)
    check_names(request, registry)  # before a worker takes seconds to start
    with _hired(registry, request) as pool:
        models = pool.models(*models_of(request, registry))
        yield _session(registry, request, pool, _environment(pool, labels or {}), models)


@contextmanager
def resumed(
    directory: Path,
    suites: Sequence[str],
    asked: Request,
    options: Mapping[str, str],
    argv: Sequence[str],
    *,
    labels: Mapping[str, str] | None = None,
    to_look: bool = False,
) -> Iterator[OpenRun]:
    """The run in `directory`, to be gone on with by what is `asked`; `options` are those that were given, by field.

    `suites` and `labels` may be named again. With `to_look` nothing is written, and nothing can be measured.

    Raises UsageError for what cannot change any more, IncomparableError on another machine, StoreError without a run,
    and otherwise as `opened`.
    """
    with ExitStack() as at_end:
        stored, writer = (store.load(directory), None) if to_look else store.reopen(directory)
        if writer is not None:
            at_end.push(writer)
        run = stored.run
        if run.origin:
            raise UsageError(f"the run in {directory} was imported from {run.origin.tool}: measure with that")
        if run.pair:
            raise UsageError(f"the run in {directory} is a side of a gate; go on with that by `bitbench gate --resume`")
        if suites and tuple(suites) != run.request.suites:
            named = " ".join(run.request.suites)
            raise UsageError(f"the run in {directory} is of {named}; give --resume --out {directory} alone")
        if labels and not labels.items() <= run.environment.labels.items():
            has = labels_in_words(run.environment) or "no labels"
            raise UsageError(f"--label cannot change what was begun: the run in {directory} has {has}; leave it out")
        registry = registry_for(run.request.suites, run.request.package)
        request = request_to_go_on_by(run, with_chosen_metrics(asked, registry), options)
        aims = run.aims
        if (request.rounds, request.precision) != (run.request.rounds, run.request.precision):
            aims = extended_aims(aims, aims_of(request, registry), rounds_made(stored.records, by_suite=True))
        pool = at_end.enter_context(_hired(registry, request))
        environment = _environment(pool, run.environment.labels)
        _require_same_machine(directory, run.environment, environment)
        extensions = (*stored.extensions, *_extension(stored, request, aims, argv))
        begun = extensions[-1].rounds if extensions else {}
        session = _session(registry, request, pool, environment, run.models, aims, begun)
        _require_declared(directory, run, metrics_of(session.contests))
        session.controller.ceilings = list(run.ceilings)
        session.controller.continue_from(stored.records)
        if writer is not None:
            for extension in extensions[len(stored.extensions) :]:
                writer.extend(extension)
        yield OpenRun(applied(run, extensions), directory, writer, session, stored.records)


def _environment(pool: WorkerPool, labels: Mapping[str, str]) -> Environment:
    here = combine(machine(), pool.description.environment)
    return msgspec.structs.replace(here, labels={**here.labels, **labels})


def _require_same_machine(directory: Path, then: Environment, now: Environment) -> None:
    """Raise IncomparableError unless it is: rounds of two machines would look like rounds of one."""
    if changed := differences(then, now):
        raise IncomparableError(f"the run in {directory} was begun on another machine: {'; '.join(changed)}")
    if is_elsewhere(then, now):
        raise IncomparableError(
            f"the run in {directory} was begun on another machine of this kind ({then.machine}; this is {now.machine}):"
            " go on with it there, or begin a new run here"
        )


@contextmanager
def _hired(registry: Registry, request: Request) -> Iterator[WorkerPool]:
    pool = WorkerPool(registry, request.memory_limit)
    try:
        yield pool
    finally:
        pool.close()


def _session(
    registry: Registry,
    request: Request,
    pool: WorkerPool,
    environment: Environment,
    models: Sequence[WholeModel],
    aims: Mapping[str, Aim] | None = None,
    begun: Mapping[str, int] | None = None,
) -> RunSession:
    """`aims` say of a run that goes on whether it was extended, `begun` what rounds its contests had had by then."""
    contests = make_plan(request, registry, pool.description, models)
    if aims is not None:
        contests = [_extended(contest, aims.get(contest.suite.name, FIXED)) for contest in contests]
    require_devices(contests, pool.description)
    pool.require(request.implementations)
    controller = Controller(contests, request, pool.start, begun=begun)
    return RunSession(registry, request, pool, contests, controller, environment, models)


def _extended(contest: Contest, aim: Aim) -> Contest:
    return replace(contest, aim=msgspec.structs.replace(contest.aim, extended=aim.extended))


def _extension(
    stored: StoredRun, request: Request, aims: Mapping[str, Aim], argv: Sequence[str]
) -> tuple[Extension, ...]:
    """What has to be written down before anything more is measured: nothing where all goes on as before."""
    run, code = stored.run, revision()
    before = stored.extensions[-1].revision if stored.extensions else run.revision
    if (request, code) == (run.request, before):
        return ()
    return (
        Extension(
            extended=_written(datetime.now(UTC)),
            request=request,
            aims=dict(aims),
            rounds=rounds_made(stored.records),
            revision=code,
            argv=tuple(argv),
        ),
    )


def _require_declared(directory: Path, run: Run, metrics: Iterable[Metric]) -> None:
    """Raise UsageError where what is measured now is not what the run declares: its reader would take it for that."""
    known = known_metrics(run)
    for metric in metrics:
        if known.get(metric.name) != metric:
            how = "otherwise" if metric.name in known else "not at all"
            raise UsageError(f"the run in {directory} was begun when {metric.name} was declared {how}: begin a new run")


def with_chosen_metrics(request: Request, registry: Registry) -> Request:
    """The request with the metrics that its words mean, in one order, so that equal requests are equal.

    Raises UsageError for a word that is no metric of these suites.
    """
    chosen = tuple(sorted(select_metrics(request.metrics, registry.metrics))) if request.metrics else ()
    return msgspec.structs.replace(request, metrics=chosen)


def _written(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
