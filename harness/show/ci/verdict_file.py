"""`verdict.json`: all that a gate has found, or the error that ended it. All else is made of this."""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from harness.errors import StoreError
from harness.judge.judge import Judgement
from harness.judge.policy import Policy, detectable, exit_code
from harness.judge.rules import Rules
from harness.model import Count, Revision, Run, StoredRun
from harness.model.codec import LineError, decode
from harness.show.table import pretty_json
from harness.show.verdict_words import ToldVerdict, invalid_words, told_verdict
from harness.show.verdicts import headline, rules_line, warnings

SCHEMA = 1
"""Raised where a field changes its meaning: a newer file of the same schema has all fields of an older one."""

ExitAnswer = Literal["ok", "regressed", "incomparable", "inconclusive", "invalid", "not_measured", "error"]
ANSWERS: tuple[ExitAnswer, ...] = ("ok", "regressed", "incomparable", "inconclusive", "invalid", "not_measured")
"""By exit code."""


class RunSide(msgspec.Struct, frozen=True):
    """One of the two runs."""

    id: str
    started: str
    revision: Revision


class VerdictFile(msgspec.Struct, frozen=True, kw_only=True):
    """A gate's answer. Of one that an error has ended only what is known by then."""

    schema: int = SCHEMA
    exit_code: Count
    answer: ExitAnswer
    """The verdict in one word; `error` when there is none."""
    headline: str
    """The verdict in one line."""
    policy: Policy
    tolerated: str = ""
    """What was tolerated, what would have been found, and what became of all cases together, in one line."""
    base: RunSide | None = None
    head: RunSide | None = None
    rules: Rules | None = None
    rules_in_words: tuple[str, ...] = ()
    counts: dict[str, Count] = {}
    """Verdicts by word, with that on the geometric mean."""
    detectable: float = math.nan
    """The slowdown that would have been found in nine of ten repetitions in every latency judged."""
    geometric_mean: ToldVerdict | None = None
    sentinels: tuple[ToldVerdict, ...] = ()
    invalid: str = ""
    """Why the environment gives no verdict on latencies; empty when it does."""
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    verdicts: tuple[ToldVerdict, ...] = ()

    @property
    def judged(self) -> tuple[ToldVerdict, ...]:
        """The verdicts with that on the geometric mean."""
        return self.verdicts if self.geometric_mean is None else (*self.verdicts, self.geometric_mean)


def told(
    baseline: StoredRun, candidate: StoredRun, judgement: Judgement, policy: Policy, notes: Sequence[str] = ()
) -> VerdictFile:
    """What a gate has found."""
    code = exit_code(judgement, policy)
    return VerdictFile(
        exit_code=code,
        answer=ANSWERS[code],
        headline=headline(judgement, policy),
        policy=policy,
        tolerated=rules_line(judgement, policy),
        base=_side(baseline.run),
        head=_side(candidate.run),
        rules=judgement.rules,
        rules_in_words=judgement.rules.in_words(),
        counts=dict(Counter(verdict.word for verdict in judgement.judged)),
        detectable=detectable(judgement),
        geometric_mean=told_verdict(judgement.geometric_mean) if judgement.geometric_mean else None,
        sentinels=tuple(map(told_verdict, judgement.sentinels)),
        invalid=invalid_words(judgement),
        notes=tuple(map(_writable, notes)),
        warnings=tuple(map(_writable, warnings(baseline, candidate, judgement))),
        verdicts=tuple(told_verdict(verdict) for verdict in judgement.verdicts if verdict is not None),
    )


def failed(reason: str, code: int, policy: Policy) -> VerdictFile:
    """That there is no verdict, and why."""
    words = " ".join(_writable(reason).split())
    return VerdictFile(
        exit_code=code, answer="error", headline=f"no verdict (exit code {code}): {words}", policy=policy
    )


def encoded(verdict: VerdictFile) -> bytes:
    """As JSON. Infinities and NaN are strings, as in a stored run."""
    return pretty_json(verdict).encode() + b"\n"


def read(path: Path) -> VerdictFile:
    """What `encoded` has made, exactly. Raises StoreError, in one line, for what is no such file."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}; give the verdict.json of a gate") from error
    try:
        schema = msgspec.json.decode(data, type=_Version).schema
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StoreError(f"{path} is no verdict ({error}); give the verdict.json of a gate") from error
    if schema != SCHEMA:
        raise StoreError(f"{path} has schema {schema}, and this program reads {SCHEMA}: gate the two runs again")
    try:
        return decode(data, VerdictFile)
    except LineError as error:
        raise StoreError(f"{path} is corrupt ({' '.join(str(error).split())}): gate the two runs again") from error


def _writable(text: str) -> str:
    """Without what UTF-8 cannot say: the name of a file may be any bytes."""
    return text.encode(errors="replace").decode()


class _Version(msgspec.Struct):
    schema: int


def _side(run: Run) -> RunSide:
    return RunSide(run.id, run.started, run.revision)
