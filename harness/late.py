"""Cases that the budget left no time for. Their record is no end: whoever goes on with the run has time again."""

from harness.model import Case, Params, Record

_SPENT = " was spent before its turn; raise --budget, or choose fewer cases"


def late(case: Case, budget: float, facts: Params) -> Record:
    """The record of a case that never had its turn in `budget` seconds: it must be seen to be missing."""
    return Record(case, 0, "skipped", f"the budget of {budget:g} s{_SPENT}", facts=facts)


def is_late(record: Record) -> bool:
    """Whether it is one of those."""
    return record.outcome == "skipped" and record.reason.endswith(_SPENT)
