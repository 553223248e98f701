"""Whose code ran: the libraries behind peers, in which versions, and what they compute."""

from collections.abc import Iterable

from harness.analysis.results import Result
from harness.show.table import Column, Table

TITLE = "other people's libraries"


def origins(everything: Iterable[Result]) -> Table:
    """A row a peer, and one more for each further version that a resumed run met; none where there are no peers."""
    rows = dict.fromkeys(
        (result.case.implementation, *(str(record.facts.get(name, "")) for name in ("library", "version", "computes")))
        for result in everything
        for record in result.records
        if "library" in record.facts
    )
    columns = (Column("implementation"), Column("library"), Column("version"), Column("computes"))
    return Table(TITLE, columns, list(rows))
