"""The section on who is right: how many properties hold of whom, in which schemes."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from bitlinear.scheme import Scheme
from harness.model import Record
from harness.show.table import Column, Table
from suites.device_check.carry_out import Ended
from suites.device_check.plan import CHECKS, KERNELS, PlannedStep
from suites.device_check.section import FAILED, Section, run_in, told
from suites.special.conformance import ALL_SCHEMES, NOT_ASKED

COUNTS = re.compile(r"(\d+) (passed|failed|errors?|skipped)")
"""In the last line of pytest."""


def section(out: Path, steps: Iterable[PlannedStep], ended: Sequence[Ended]) -> Section:
    """What has been asked so far."""
    runs = [run_in(out, step.name) for step in steps if step.name.startswith(CHECKS)]
    records = [record for run in runs if run for record in run.records]
    counted = _counted(records)
    wrong = [told(record, "property", "scheme") for record in records if _is_fault(record)]
    partly = [record for record in records if _is_partly_asked(record)]
    missing = [told(record, "property", "scheme") for record in records if record.late]
    if partly:
        missing.append(f"{len(partly)} properties were asked of the first examples alone, for want of time")
    tests, failed = _kernels(out, ended)
    blocks = [_table(counted)] if counted else []
    return Section(
        "Conformance",
        [*blocks, tests] if tests else blocks,
        [*wrong, *failed],
        missing,
        any(record.outcome == "measured" for record in records),
    )


Row = tuple[str, str]
"""Implementation, and the schemes that it was asked in."""


def _counted(records: Iterable[Record]) -> dict[Row, Counter[str]]:
    """Outcomes of required properties; `schemes` counts the schemes."""
    found: dict[Row, Counter[str]] = {}
    schemes: dict[Row, set[str]] = {}
    for record in records:
        row = record.case.implementation, _of_scheme(str(record.case.params["scheme"]))
        schemes.setdefault(row, set()).add(str(record.case.params["scheme"]))
        counts = found.setdefault(row, Counter())
        if not record.facts["informative"]:
            counts["partly" if _is_partly_asked(record) else record.outcome] += 1
    for row, counts in found.items():
        counts["schemes"] = 0 if row[1] == ALL_SCHEMES else len(schemes[row])
    return found


def _of_scheme(scheme: str) -> str:
    return scheme if scheme == ALL_SCHEMES else f"w{Scheme.parse(scheme).weight_bits}"


def _table(counted: dict[Row, Counter[str]]) -> Table:
    headings = ("pass", "in part", "fail", "not offered")
    columns = (Column("contestant"), Column("schemes"), *(Column(heading, "right") for heading in headings))
    rows = []
    for (name, schemes), counts in counted.items():
        failed = sum(counts[outcome] for outcome in FAILED)
        number = counts["schemes"]
        words = f"{schemes}, {number} scheme{'s' * (number > 1)}" if number else "all together"
        rows.append((name, words, counts["measured"], counts["partly"], failed, counts["skipped"]))
    return Table("", columns, rows)


def _is_fault(record: Record) -> bool:
    return record.outcome in FAILED and not record.facts["informative"]


def _is_partly_asked(record: Record) -> bool:
    return record.outcome == "measured" and any(NOT_ASKED in warning for warning in record.warnings)


def _kernels(out: Path, ended: Sequence[Ended]) -> tuple[str, list[str]]:
    """What pytest said at its end, and which tests have failed."""
    step = next((one for one in ended if one.step == KERNELS), None)
    if step is None or step.outcome != "done":
        return "", []
    lines = (out / "logs" / f"{KERNELS}.out").read_text(errors="replace").splitlines()
    counts = ", ".join(" ".join(found) for found in COUNTS.findall(lines[-1] if lines else ""))
    failed = [line.removeprefix("FAILED ")[:300] for line in lines if line.startswith("FAILED ")]
    return f"Tests of the kernels of `triton`, bit for bit: {counts}.", failed or ["kernels: tests fail"] * bool(
        step.code
    )
