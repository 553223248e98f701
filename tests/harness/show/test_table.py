"""Tables as text: one look, whoever lays them out."""

import re

import pytest

from harness.show.table import Column, Table, render

COLUMNS = (Column("name"), Column("a long\nheading", "right", "us"), Column("note"))
ROWS = (("first", "12.5  ", "fastest"), ("the other", None, ""), ("two\nlines", "7", "regressed"), ("é±█", "1", "ok"))
HARD = "\N{NO-BREAK SPACE}"
"""What only rich knows how to place."""


@pytest.mark.parametrize("colour", [False, True])
def test_a_table_that_fits_looks_as_rich_lays_it_out(colour: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in (("COLUMNS", "60"), *((("FORCE_COLOR", "1"), ("TERM", "xterm")) if colour else ())):
        monkeypatch.setenv(name, value)
    plain = render([Table("title", COLUMNS, ROWS), "prose", Table("", COLUMNS, ROWS[:1])], "text")
    hard = [(f"{name.replace('the other', f'the{HARD}other')}", *rest) for name, *rest in ROWS]
    by_rich = render([Table("title", COLUMNS, hard), "prose", Table("", COLUMNS, ROWS[:1])], "text")
    assert seen(plain) == seen(by_rich.replace(HARD, " "))
    assert ("\x1b[1;31mregressed" in plain) is colour


def seen(text: str) -> list[tuple[int, int, str, str]]:
    """Line, column, character and style of all that is no space."""
    found = []
    for number, line in enumerate(text.split("\n")):
        style, column = "", 0
        for escape, character in re.findall(r"\x1b\[([\d;]*)m|(.)", line):
            if not character:
                style = escape
            else:
                found += [(number, column, character, style.strip("0"))] * (character != " ")
                column += 1
    return found


def test_a_table_that_does_not_fit_wraps_its_prose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    lines = render([Table("", (Column("case"), Column("why")), [("one", "a reason of many words " * 3)])], "text")
    assert max(map(len, lines.split("\n"))) <= 40
