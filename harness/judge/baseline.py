"""The run that changes are gated against, and the log of why it was accepted."""

from collections import Counter
from pathlib import Path

import msgspec

from harness.errors import NothingMeasuredError, StoreError, UsageError
from harness.judge.judge import judge_runs
from harness.model import Revision, StoredRun, known_metrics
from harness.model.codec import LineError, decode, encode
from harness.model.metrics import in_kinds, judged
from harness.store import FILE_NAME, files, load
from harness.store.places import BASELINES

LOG = "accepted.jsonl"
"""Beside the baseline's run, one line a time that one was accepted."""


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the log."""

    when: str
    """UTC, ISO 8601."""
    reason: str
    run: str
    revision: Revision
    previous: str = ""
    """The run that it took the place of; empty for the first."""
    changes: dict[str, int] = {}
    """Verdicts on the exact and paired metrics against the previous one, counted by word."""


def default_place(stored: StoredRun) -> Path:
    """Where a run of such suites is kept as a baseline."""
    return BASELINES / "-".join(stored.run.request.suites)


def check(stored: StoredRun, *, allow_dirty: bool) -> None:
    """Refuse what can be no baseline.

    Raises NothingMeasuredError for a run without a number, and UsageError for one with a case that failed, that was cut
    short, or that nobody can measure again because its revision had changes that were not committed.
    """
    name = stored.run.id
    if not any(record.outcome == "measured" and record.measurements for record in stored.records):
        raise NothingMeasuredError(f"run {name} measured nothing, so nothing could be gated against it: run it again")
    ended = [record for record in stored.records if record.outcome not in ("measured", "skipped")]
    if ended:
        first = ended[0]
        raise UsageError(
            f"run {name} has {len(ended)} records that were not measured, the first of {first.case.name}"
            f" ({first.outcome.replace('_', ' ')}: {first.reason}): mend that, or leave the case out, and run it again"
        )
    if stored.is_cut_off:
        raise UsageError(
            f"run {name} was cut short in the middle of a record: finish it by `bitbench run --resume --out DIR`"
        )
    if stored.run.revision.dirty and not allow_dirty:
        raise UsageError(
            f"run {name} is of a checkout with changes that were not committed, so that nobody can measure it again:"
            " commit and run it again, or give --allow-dirty"
        )


def accept(source: Path, place: Path, *, reason: str, when: str, allow_dirty: bool = False) -> Accepted:
    """Make the run at `source` the baseline in `place`, and say in the log why.

    Both files are replaced as a whole. Raises UsageError and NothingMeasuredError for what is refused, StoreError for
    what cannot be read or written.
    """
    if not reason.strip():
        raise UsageError("--reason is empty: say why the numbers moved, for whoever reads the log")
    stored = load(source)
    check(stored, allow_dirty=allow_dirty)
    previous = load(place) if (place / FILE_NAME).exists() else None
    if previous and previous.run.id == stored.run.id:
        raise UsageError(f"run {stored.run.id} is the baseline in {place} already")
    line = Accepted(
        when=when,
        reason=" ".join(reason.split()),
        run=stored.run.id,
        revision=stored.run.revision,
        previous=previous.run.id if previous else "",
        changes=changes(previous, stored) if previous else {},
    )
    log = b"".join(encode(one) + b"\n" for one in (*accepted(place), line))
    try:
        place.mkdir(parents=True, exist_ok=True)
        content = (source / FILE_NAME if source.is_dir() else source).read_bytes()
        files.replace(place / FILE_NAME, content)
        files.replace(place / LOG, log)
    except OSError as error:
        raise StoreError(f"cannot write the baseline {place}: {error.strerror}; give another by --as") from error
    return line


def changes(previous: StoredRun, stored: StoredRun) -> dict[str, int]:
    """Verdicts on the exact and paired metrics of a run against the one before, counted by word."""
    known = known_metrics(previous.run, stored.run)
    kinds = in_kinds(known)
    steady = (kinds["exact"] | kinds["paired"]) & judged(known)
    words = Counter(verdict.word for verdict in judge_runs(previous, stored, steady).judged)
    return dict(sorted(words.items()))


def accepted(place: Path) -> list[Accepted]:
    """The log of a baseline, the oldest first; empty where there is none. Raises StoreError for what is no log."""
    path = place / LOG
    try:
        lines = path.read_bytes().splitlines() if path.exists() else []
        return [decode(line, Accepted) for line in lines]
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}; check its permissions") from error
    except LineError as error:
        raise StoreError(f"{path} is no log of baselines ({error}): restore it from git") from error
