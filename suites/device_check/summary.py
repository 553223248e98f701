"""One page on what a check has shown, wrong or missing things first; made anew whenever a step has ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import NothingMeasuredError
from harness.model import Environment
from harness.model.environment import machine_name
from harness.show.table import Block, Cell, Column, Table, render
from harness.store import files
from suites.device_check import conformance, gates, speed, stored
from suites.device_check.carry_out import Ended
from suites.device_check.plan import BYTES, GATES, LATENCIES, Stage, steps
from suites.device_check.section import Section

FILE = "summary.md"
WRONG, MISSING = 1, 3
"""Exit codes: something is wrong or a goal is missed; something was not shown."""
MOST = 12
"""Lines of one list on the page."""
NOT_GREEN = "A step that was skipped or cut off has shown nothing: it is not green."


@dataclass(frozen=True)
class SummaryPage:
    """All that is known so far."""

    out: Path
    machine: Environment
    stages: Sequence[Stage]
    ended: Sequence[Ended]

    @property
    def sections(self) -> list[Section]:
        """One for each thing that only a GPU can show."""
        latencies, trials = (
            [one.name for one in steps(self.stages) if one.name.startswith(kind)] for kind in (LATENCIES, GATES)
        )
        return [
            conformance.section(self.out, steps(self.stages), self.ended),
            speed.latencies(self.out, latencies),
            speed.ceilings(self.out, latencies),
            stored.section(self.out, BYTES),
            gates.section(self.out, trials),
        ]

    def write(self) -> int:
        """Replace the page; the exit code that the check would have if this were its end."""
        sections = self.sections
        wrong, missing = self._lists(sections)
        code = MISSING if missing else 0
        if not any(section.is_measured for section in sections):
            code = NothingMeasuredError.exit_code
        code = WRONG if wrong else code
        page = self._page(sections, wrong, missing)
        files.replace(self.out / FILE, (page + "\n").encode())
        return code

    def _lists(self, sections: Sequence[Section]) -> tuple[list[str], list[str]]:
        """What is wrong, and what was to be shown and was not: in the sections, and of the steps themselves."""
        wrong = [f"step {one.step}: {one.reason}" for one in self.ended if one.outcome == "failed"]
        wrong += [line for section in sections for line in section.wrong]
        missing = [f"step {one.step}: {one.reason}" for one in self.ended if self._is_missing(one)]
        missing += [line for section in sections for line in section.missing]
        there = {one.step for one in self.ended}
        later = [one.name for one in steps(self.stages) if one.name not in there]
        return wrong, [*missing, *([f"not begun: {', '.join(later)}"] if later else [])]

    def _is_missing(self, ended: Ended) -> bool:
        """Nobody asked for what is not installed."""
        unasked = {step.name for step in steps(self.stages) if step.is_optional and step.why_not}
        return ended.outcome in ("cut", "skipped") and ended.step not in unasked

    def _page(self, sections: Sequence[Section], wrong: Sequence[str], missing: Sequence[str]) -> str:
        machine = f"{machine_name(self.machine)}; driver {self.machine.driver}"
        blocks: list[Block] = ["# Device check", machine, NOT_GREEN]
        blocks += [f"## Wrong or missed: {len(wrong)}", *_listed(wrong)]
        blocks += [f"## Not shown: {len(missing)}", *_listed(missing)]
        for section in sections:
            blocks += [f"## {section.title}", *(section.blocks or ["Nothing yet."])]
        return render([*blocks, "## Steps", self._steps()], "markdown")

    def _steps(self) -> Table:
        by_name = {one.step: one for one in self.ended}
        columns = (
            Column("step"),
            Column("what it shows"),
            Column("outcome"),
            Column("exit code", "right"),
            Column("seconds", "right"),
            Column("why"),
        )
        rows: list[list[Cell]] = []
        for step in steps(self.stages):
            one = by_name.get(step.name)
            if one is None:
                rows.append([step.name, step.shows, "not begun", None, None, ""])
                continue
            seconds = f"{one.seconds:.0f} of {one.limit:.0f}"
            rows.append([step.name, step.shows, one.outcome, one.code, seconds, one.reason])
        return Table("", columns, rows)


def _listed(lines: Sequence[str]) -> list[Block]:
    rest = [f"and {len(lines) - MOST} more; `bitbench show RUN --failures` has all of a run"] * (len(lines) > MOST)
    return [f"* {line}" for line in [*lines[:MOST], *rest]]
