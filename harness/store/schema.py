"""What the lines of a record file say: from bytes to a run and its records, whichever version wrote them.

A line is read exactly or it is an error; only the last line may be cut off, by whatever ended the run that wrote it.
"""

import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args

import msgspec

from harness.errors import StoreError
from harness.model import SCHEMA_VERSION, Case, Params, Record, Run, known_metrics
from harness.model.codec import Lift, LineError, decode
from harness.model.metrics import METRICS
from harness.model.record import ROLE
from harness.model.run import Side
from harness.model.stored_run import MARK, Extension, applied

Line = TypeVar("Line", Run, Record, Extension)


def _noise_by_block(line: dict[str, Any]) -> dict[str, Any]:
    """Schema 1 had one value of each noise for the whole round."""
    noise = line.get("noise")
    return {**line, "noise": {name: [value] for name, value in noise.items()}} if isinstance(noise, dict) else line


def _nothing_moved(line: dict[str, Any]) -> dict[str, Any]:
    """Schemas 3, 4, 6 and 7 only added fields, 4 the lines of extensions too, and 6 a kind of metric, `paired`.

    The metrics that an earlier header lacks are known once its records are (`_declared`).
    """
    return line


_BASELINES = ("linear-fp32", "linear-bf16", "linear-fp16")
"""All that were known as baselines by their names before schema 5."""
_SPENT = " was spent before its turn; raise --budget, or choose fewer cases"
"""The end of the reason of a record that came too late, before schema 5."""


def _facts_for_words(line: dict[str, Any]) -> dict[str, Any]:
    """Schema 4 told roles and sides by names, late records by their reason, and rules in sentences alone."""
    match line:
        case {"case": {"implementation": name}}:
            reason, facts = line.get("reason"), line.get("facts", {})
            is_late = line.get("outcome") == "skipped" and isinstance(reason, str) and reason.endswith(_SPENT)
            return {**line, "facts": _with_role(facts, name), **({"late": True} if is_late else {})}
        case {"extended": _}:
            return {{"rules": "words"}.get(name, name): value for name, value in line.items()}
        case {"schema": _}:
            side = next((side for side in get_args(Side) if str(line.get("id")).endswith(f"-{side}")), "")
            words = {"rules": {"words": line["rules"]}} if "rules" in line else {}
            return {**line, **words, "side": side if line.get("pair") else ""}
    return line


def _with_role(facts: object, implementation: str) -> object:
    """The facts of a case, with its role; whatever is no facts stays, for whoever checks them."""
    if not isinstance(facts, dict):
        return facts
    role = {ROLE: "sentinel"} if "sentinel" in facts else {ROLE: "baseline"} if implementation in _BASELINES else {}
    return {name: value for name, value in facts.items() if name != "sentinel"} | role


MIGRATIONS: dict[int, Lift] = {
    1: _noise_by_block,
    2: _nothing_moved,
    3: _nothing_moved,
    4: _facts_for_words,
    5: _nothing_moved,
    6: _nothing_moved,
}
"""From a schema version to the function that lifts one decoded line (header or record) to the next version."""


_BEFORE_CASE, _AFTER_CASE = b'{"case":{', b'}},"round":'
_BEFORE_FACTS, _AFTER_FACTS = b'"facts":{', b'},"noise":{'
"""What a line writes around its case and its facts. No text holds them: a quotation mark in one is escaped."""

DECLARED = 5
"""The first schema whose headers say which metrics a run measures."""


@dataclass(frozen=True)
class Content:
    """A record file as read: at most one record for a case and round, in the order written."""

    begun: Run
    """As it was begun."""
    records: tuple[Record, ...]
    warnings: tuple[str, ...]
    whole: int
    """How many bytes are whole lines: all, unless the last one is cut off."""
    version: int
    """The schema that the file was written with."""
    extensions: tuple[Extension, ...]
    is_cut_off: bool
    """Whether the last line is unfinished, and left out."""

    @property
    def run(self) -> Run:
        """As it reads after all extensions."""
        return applied(self.begun, self.extensions)


def parse(data: bytes, path: Path) -> Content:
    """What is in `data`, the bytes of the file at `path`. Raises StoreError, in one line, for what is no run."""
    if not data:
        raise StoreError(f"{path} is empty: the run ended before it began; delete it and run again")
    lines = enumerate(io.BytesIO(data), start=1)  # one after the other, as all of them would take as much as the file
    run, version = _header(next(lines)[1].removesuffix(b"\n"), path)
    known = known_metrics(run)
    reader = _Reader(version, path, frozenset(name for name, metric in known.items() if metric.is_never_negative))
    said: list[Record | Extension] = []
    warnings, whole = [], len(data)
    for number, line in lines:
        try:
            said.append(reader.line(line.removesuffix(b"\n"), number))
        except StoreError:
            if line.endswith(b"\n"):
                raise
            whole -= len(line)
            warnings.append("the last line is cut off and left out; `bitbench run --resume` measures it again")
    records = [one for one in said if isinstance(one, Record)]
    extensions = tuple(one for one in said if isinstance(one, Extension))
    kept = {(record.case.name, record.round): record for record in records}
    if again := sum(kept[record.case.name, record.round] is not record and not record.late for record in records):
        warnings.append(f"{again} records were measured again in the same round; the last one counts")
    warnings += _unknown_metrics(records, known) + _other_code(run, extensions)
    run = run if version >= DECLARED else _declared(run, records)
    is_cut_off = whole < len(data)
    return Content(run, tuple(kept.values()), tuple(warnings), whole, version, extensions, is_cut_off)


def _header(line: bytes, path: Path) -> tuple[Run, int]:
    try:
        message = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StoreError(f"{path} is not a run: its first line is not a whole line of JSON ({error})") from error
    version = message.get("schema") if isinstance(message, dict) else None
    if type(version) is not int:
        raise StoreError(f"{path} is not a run: its first line has no schema number; give a run of `bitbench run`")
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{path} has schema {version}, and this program reads up to {SCHEMA_VERSION}: upgrade bitlinear-bench"
        )
    if any(step not in MIGRATIONS for step in range(version, SCHEMA_VERSION)):
        raise StoreError(f"{path} has schema {version}, which this program no longer reads: measure it again")
    return msgspec.structs.replace(_decode(line, Run, version, path, 1), schema=SCHEMA_VERSION), version


class _Reader:
    """Reads the lines after the header. Records of one case share it and its facts: its names are spelled once."""

    def __init__(self, version: int, path: Path, never_negative: frozenset[str]) -> None:
        self._version, self._path, self._never_negative = version, path, never_negative
        self._cases: dict[bytes, Case] = {}
        """By the way in which they are written, so that none of them takes the place of one that only equals it."""
        self._facts: dict[bytes, Params] = {}

    def line(self, line: bytes, number: int) -> Record | Extension:
        """One line. Raises StoreError for what is none."""
        if line.startswith(MARK):
            return _decode(line, Extension, self._version, self._path, number)
        record = _decode(line, Record, self._version, self._path, number)
        if why := _impossible(record, self._never_negative):
            raise _corrupt(self._path, number, why)
        if self._version == SCHEMA_VERSION:  # what an earlier line says of one field may depend on another
            self._share(line, record)
        return record

    def _share(self, line: bytes, record: Record) -> None:
        end = line.find(_AFTER_CASE)
        if end > 0 and line.startswith(_BEFORE_CASE):
            msgspec.structs.force_setattr(record, "case", self._cases.setdefault(line[:end], record.case))
        begin, end = line.find(_BEFORE_FACTS), line.find(_AFTER_FACTS)
        if 0 < begin < end:
            msgspec.structs.force_setattr(record, "facts", self._facts.setdefault(line[begin:end], record.facts))


def _other_code(run: Run, extensions: Iterable[Extension]) -> list[str]:
    other = next((one for one in extensions if one.revision != run.revision), None)
    if other is None:
        return []
    was, now = (f"{one.commit[:7]}{' with changes' * one.dirty}" for one in (run.revision, other.revision))
    return [f"begun at {was} and gone on with at {now}: its rounds are not all of one code"]


def _impossible(record: Record, never_negative: frozenset[str]) -> str:
    """What of a record cannot be, though each of its fields could; empty when all can."""
    seen: set[str] = set()
    for m in record.measurements:
        if m.metric in seen:
            return f"the metric {m.metric} twice"
        seen.add(m.metric)
        if m.blocks and len(m.blocks) != len(m.values):
            return f"{len(m.values)} values of {m.metric} in {len(m.blocks)} blocks"
        # The smallest of values that begin with NaN is NaN, so that only then each has to be looked at.
        if m.metric in never_negative and m.values and not min(m.values) >= 0 and any(v < 0 for v in m.values):
            return f"a negative {m.metric}"
    return ""


def _decode(line: bytes, kind: type[Line], version: int, path: Path, number: int) -> Line:
    def lift(message: dict[str, Any]) -> dict[str, Any]:
        for step in range(version, SCHEMA_VERSION):
            message = MIGRATIONS[step](message)
        return message

    try:
        return decode(line, kind, None if version == SCHEMA_VERSION else lift)
    except LineError as error:
        raise _corrupt(path, number, str(error)) from error


def _corrupt(path: Path, number: int, why: str) -> StoreError:
    reason = " ".join(why.split())
    return StoreError(f"{path}, line {number} is corrupt ({reason}): restore the file from a copy or measure again")


def _declared(run: Run, records: Iterable[Record]) -> Run:
    """The header of an earlier schema with the metrics that were measured: they were all of the project's own."""
    measured = {taken.metric for record in records for taken in record.measurements}
    return msgspec.structs.replace(run, metrics=tuple(one for name, one in METRICS.items() if name in measured))


def _unknown_metrics(records: list[Record], known: Iterable[str]) -> list[str]:
    unknown = sorted({m.metric for record in records for m in record.measurements} - set(known))
    if not unknown:
        return []
    names = " ".join(", ".join(unknown).split())
    return [f"unknown metrics are ignored: {names}; a newer bitlinear-bench may know them"]
