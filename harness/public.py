"""What `import harness` offers beyond frames, figures and timing: to measure, to read, to show, to compare, to gate."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import msgspec

from harness import store
from harness.analysis.ranking import led
from harness.analysis.view import View
from harness.errors import NothingMeasuredError, UsageError
from harness.judge.judge import Judgement, judge_runs
from harness.judge.policy import Policy
from harness.judge.rules import read
from harness.machine.environment import LEAST_MEMORY, available_memory
from harness.model import Request, StoredRun, Value, normalise_value
from harness.model.metrics import judged, select_metrics
from harness.model.run import known_metrics
from harness.model.units import choices, parse_names
from harness.runner.packages import package_of, registry_for
from harness.runner.progress import Lines, watcher
from harness.runner.session import opened
from harness.show.judged import JudgedRuns
from harness.show.results import Page

Names = str | Iterable[str]
"""One name, several joined by commas, or an iterable of such."""


def run(
    suites: Names,
    *,
    implementations: Names = (),
    axes: Mapping[str, Value | Sequence[Value]] | None = None,
    models: Names = (),
    keyword: str = "",
    device: str = "auto",
    threads: int = 0,
    full: bool = False,
    metrics: Names = (),
    rounds: int = 0,
    precision: float = 0.0,
    budget: float = 0.0,
    case_limit: float = 120.0,
    memory_limit: float | None = None,
    seed: int = 0,
    package: str = "",
    out: str | Path | None = None,
    progress: bool = True,
) -> StoredRun:
    """Measure suites as `bitbench run` does, in processes of their own, and keep every record as it is made.

    `implementations` are names of `bitbench list` or "package.module:object"; `axes` replace those of the suites;
    `models` are those of suites about whole models, as `bitbench model` takes them;
    `package` is the module that declares the suites, by default the project's own or what an installed package says.
    0 and nothing mean what they mean when the option is left out. `precision` is a share (0.02 is 2 %), `budget` and
    `case_limit` are seconds, `memory_limit` bytes: three quarters of what is free by default, 0 for no limit. The run
    lies in `out`, else in a new directory of results/runs; `StoredRun.directory` says where.

    A contestant that fails, crashes or hangs has a record with its reason. Raises UsageError for what does not exist or
    cannot be, NothingMeasuredError when there is no number at all, StoreError when `out` cannot be written.
    """
    request = _request(
        suites=_names("suites", suites),
        implementations=_names("implementations", implementations),
        axes={name: _values(values) for name, values in (axes or {}).items()},
        models=_names("models", models),
        keyword=keyword,
        device=device,
        threads=threads,
        full=full,
        metrics=_names("metrics", metrics),
        rounds=rounds,
        precision=precision,
        budget=budget,
        case_limit=case_limit,
        memory_limit=available_memory() if memory_limit is None else memory_limit,
        seed=seed,
        package=package,
    )
    registry = registry_for(request.suites, request.package)
    request = msgspec.structs.replace(request, package=package_of(registry))
    words = as_command(request) if memory_limit is None else as_command(request, memory_limit)
    with opened(registry, request) as session, session.begin(Path(out) if out else None, words) as begun:
        stored = begun.carry_out(watcher() if progress else Lines(lambda _: None, lambda: 0.0))
    if not any(record.outcome == "measured" for record in stored.records):
        reason = stored.records[0].reason if stored.records else "no case was planned"
        raise NothingMeasuredError(f"nothing was measured: {reason}; the records are in {stored.directory}")
    return stored


def load(run: str | Path) -> StoredRun:
    """The run in a directory or a file. Raises StoreError, in one line, for what is not a whole run."""
    return store.load(Path(run))


def show(run: str | Path | StoredRun, *, metrics: Names = (), baselines: Names = ()) -> Page:
    """The result table of a run, as `bitbench show` prints it and a notebook shows it.

    Only of some `metrics`, or with speed-ups over other `baselines`, if they are given. Raises UsageError for what is
    no metric or was not measured.
    """
    stored, over = _stored(run), _names("baselines", baselines)
    present = {record.case.implementation for record in stored.records}
    for name in over:
        if name not in present:
            raise UsageError(f"unknown baseline {name!r}; {choices(name, sorted(present))}")
    view = View.of(
        stored, select_metrics(_names("metrics", metrics), known_metrics(stored.run)) if metrics else (), over
    )
    return Page(view if over else led([view])[0])


def compare(
    base: str | Path | StoredRun,
    head: str | Path | StoredRun,
    *,
    metrics: Names = (),
    rules: str | Path | None = None,
    margin: float | None = None,
) -> JudgedRuns:
    """Two runs row by row, as `bitbench compare` prints them.

    `rules` is a file as gate.toml, which is read by default where it is in the current folder; `margin` the slowdown
    that is tolerated, as a share. Raises NothingMeasuredError where no case was measured in both.
    """
    return _judged(base, head, _names("metrics", metrics), rules, margin, None)


def gate(
    base: str | Path | StoredRun,
    head: str | Path | StoredRun,
    *,
    metrics: Names = (),
    rules: str | Path | None = None,
    margin: float | None = None,
    policy: Policy = "release",
) -> JudgedRuns:
    """The verdict on `head` against `base`, two stored runs; its `exit_code` is that of `bitbench gate`.

    Arguments as of `compare`; under the policy "pr" an inconclusive row does not fail. Two revisions are measured now
    by `bitbench gate --base REV` alone, which takes turns between them. Raises as `compare`.
    """
    if policy not in get_args(Policy):
        raise UsageError(f"unknown policy {policy!r}; {choices(str(policy), get_args(Policy))}")
    return _judged(base, head, _names("metrics", metrics), rules, margin, policy)


def as_command(request: Request, memory_limit: float | None = None) -> tuple[str, ...]:
    """The words on a command line that ask for the same."""
    usual = Request(suites=())
    options = {
        "--suites": request.package,
        "--impl": ",".join(request.implementations),
        "--model": ",".join(request.models),
        "-k": request.keyword,
        "--device": request.device if request.device != usual.device else "",
        "--threads": request.threads,
        "--rounds": request.rounds,
        "--precision": f"{100 * request.precision:.15g}%" if request.precision else "",
        "--budget": f"{request.budget:.15g}s" if request.budget else "",
        "--case-limit": f"{request.case_limit:.15g}s" if request.case_limit != usual.case_limit else "",
        "--memory-limit": "" if memory_limit is None else f"{memory_limit:.0f}" if memory_limit else "none",
        "--seed": request.seed,
    }
    words = [word for option, value in options.items() if value for word in (option, str(value))]
    words += [
        word for name, values in request.axes.items() for word in ("--axis", f"{name}={','.join(map(str, values))}")
    ]
    words += [word for name in request.metrics for word in ("--metric", name)]
    return ("bitbench", "run", *request.suites, *words, *(("--full",) if request.full else ()))


def _judged(
    base: str | Path | StoredRun,
    head: str | Path | StoredRun,
    names: tuple[str, ...],
    rules: str | Path | None,
    margin: float | None,
    policy: Policy | None,
) -> JudgedRuns:
    if margin is not None and not 0 < margin <= 1:
        raise UsageError(f"margin={margin!r} is no share above 0 and at most 1: write 0.03 for 3 %")
    before, after = _stored(base), _stored(head)
    known = known_metrics(before.run, after.run)
    chosen = select_metrics(names, known) if names or policy is None else judged(known)
    tolerated = read(Path(rules) if rules else None, known)
    if margin is not None:
        tolerated = msgspec.structs.replace(tolerated, margin=margin)
    judgement: Judgement = judge_runs(before, after, chosen, tolerated)
    if policy is None and not any(pair.comparison for pair in judgement.pairs):
        raise NothingMeasuredError(f"{before!r} and {after!r} share no case that both measured")
    return JudgedRuns(before, after, judgement, policy)


def _stored(run: object) -> StoredRun:
    if isinstance(run, StoredRun):
        return run
    if isinstance(run, str | Path) and run:
        return load(run)
    raise UsageError(f"{run!r:.80} is no run; give its directory, or what harness.run or harness.load returns")


def _names(what: str, given: object) -> tuple[str, ...]:
    """Raises UsageError for objects: what is measured is imported by another process, and so has to be named."""
    several = [given] if isinstance(given, str) or not isinstance(given, Iterable) else list(given)
    for one in several:
        if not isinstance(one, str):
            cure = "'package.module:object'" if what == "implementations" else "its name"
            raise UsageError(f"{what}: {one!r:.80} is no name; workers are processes of their own: give {cure}")
    return parse_names(what, map(str, several)) if several else ()


def _values(given: object) -> tuple[Value, ...]:
    several = list(given) if isinstance(given, Iterable) and not isinstance(given, str) else [given]
    return tuple(dict.fromkeys(normalise_value(value) for value in several))


def _request(**fields: Any) -> Request:
    """Raises UsageError for a value of another kind, or out of bounds."""
    if not fields["suites"]:
        raise UsageError("name at least one suite, as in harness.run('quick'); `bitbench list` shows them all")
    try:
        request = msgspec.convert(fields, Request)
    except msgspec.ValidationError as error:
        said = re.fullmatch(r"(.*) - at `\$\.(\w+).*`", str(error))
        raise UsageError(f"{said[2]}={fields[said[2]]!r:.80}: {said[1]}" if said else str(error)) from error
    if request.precision > 1:
        raise UsageError(f"precision={request.precision:g} is no share of at most 1: write 0.02 for 2 %")
    if not request.case_limit:
        raise UsageError("case_limit=0: nobody answers in no time; give seconds above 0")
    if 0 < request.memory_limit < LEAST_MEMORY:
        raise UsageError(
            f"memory_limit={request.memory_limit:g} is in bytes, and no case can do with it; 0 is no limit"
        )
    return request
