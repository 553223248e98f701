"""Tables for people (text, markdown) and for machines (csv, json)."""

import csv
import io
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import accumulate, zip_longest
from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec

from harness.model.codec import encode

if TYPE_CHECKING:
    from rich.table import Table as RichTable
    from rich.text import Text

Cell: TypeAlias = str | int | float | None
Format: TypeAlias = Literal["text", "markdown", "csv", "json"]
FORMATS: tuple[Format, ...] = ("text", "markdown", "csv", "json")

_STYLES = {"regressed": "bold red", "improved": "green", "inconclusive": "yellow", "not measured": "bold red"}
_STYLES |= {"fastest": "bold green", "undecided": "yellow"}
_UNLIMITED = 100_000
_GAP = 2
_PROSE = 24
"""Characters below which a column of words is not squeezed."""


@dataclass(frozen=True)
class Column:
    """A heading, which may span lines, and the side on which its cells stand."""

    heading: str
    align: Literal["left", "right"] = "left"
    unit: str = field(default="", compare=False)
    """Of all cells; tables that differ in it only are laid out alike."""

    @property
    def head(self) -> str:
        """What stands above the cells."""
        return f"{self.heading}\n({self.unit})" if self.unit else self.heading


@dataclass(frozen=True)
class Table:
    """Rows of cells under columns. Text, markdown and csv show None as nothing, json as null."""

    title: str
    columns: tuple[Column, ...]
    rows: Sequence[Sequence[Cell]]

    def text(self) -> str:
        """For a terminal: as wide as it is, or as the table needs where the output is no terminal."""
        return render([self], "text")

    def markdown(self) -> str:
        """A pipe table under its title."""
        return render([self], "markdown")

    def csv(self) -> str:
        """Comma-separated, headings first."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([column.heading for column in self.columns])
        writer.writerows(self.rows)
        return text.getvalue().rstrip("\n")

    def json(self) -> str:
        """A list of objects, one a row, by heading."""
        return pretty_json(self.as_dicts())

    def as_dicts(self) -> list[dict[str, Cell]]:
        """One dictionary a row, by heading."""
        keys = [column.heading for column in self.columns]
        return [dict(zip(keys, row, strict=True)) for row in self.rows]


Block: TypeAlias = Table | str
"""What stands between two empty lines on a page: a table or prose."""


def pretty_json(content: object) -> str:
    """Indented JSON; infinities and NaN are strings, as in a stored run."""
    return msgspec.json.format(encode(content), indent=2).decode()


def render(blocks: Sequence[Block], form: Literal["text", "markdown"]) -> str:
    """Tables and lines of prose, one after the other; tables of the same columns get the same widths."""
    if form == "markdown":
        prose = (block.replace("\n", "\\\n") if isinstance(block, str) else _markdown(block) for block in blocks)
        return "\n\n".join(prose)
    return _text(blocks)


def html(blocks: Sequence[Block]) -> str:
    """For a notebook."""
    return "\n".join(f"<pre>{escape(block)}</pre>" if isinstance(block, str) else _html(block) for block in blocks)


def _html(table: Table) -> str:
    def line(cells: Sequence[str], tag: str) -> str:
        sides = zip(cells, table.columns, strict=True)
        texts = (f'<{tag} style="text-align: {column.align}">{escape(cell)}</{tag}>' for cell, column in sides)
        return f"<tr>{''.join(texts)}</tr>"

    head = line([column.head for column in table.columns], "th")
    body = "".join(line([_show(cell) for cell in row], "td") for row in table.rows)
    return f"<table><caption>{escape(table.title)}</caption><thead>{head}</thead><tbody>{body}</tbody></table>"


def _markdown(table: Table) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"

    rules = ["---:" if column.align == "right" else "---" for column in table.columns]
    title = [f"### {table.title}", ""] if table.title else []
    body = [line([_show(cell) for cell in row]) for row in table.rows]
    return "\n".join([*title, line([column.head for column in table.columns]), line(rules), *body])


def _text(blocks: Sequence[Block]) -> str:
    from rich.console import Console
    from rich.segment import Segments
    from rich.text import Text

    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _UNLIMITED
    console = Console(width=width, force_jupyter=False)  # else a notebook shows an empty output for what is captured
    tables = [block for block in blocks if isinstance(block, Table)]
    widths = {
        columns: _widths(columns, [table for table in tables if table.columns == columns])
        for columns in dict.fromkeys(table.columns for table in tables)
    }
    with console.capture() as capture:
        for number, block in enumerate(blocks):
            if number:
                console.print()
            if isinstance(block, str):
                console.print(Text(block))
                continue
            if block.title:
                console.print(Text(block.title, style="bold"))
            if _fits(block, widths[block.columns], console.width):
                drawn = _laid_out(block, widths[block.columns])
                console.print(Segments(drawn.render(console, end="\n")), soft_wrap=True, end="")
                continue
            for part in _parts(block, _squeezed(block.columns, widths[block.columns]), console.width):
                console.print(part)
    text = "\n".join(line.rstrip() for line in capture.get().rstrip("\n").split("\n"))
    return sayable(text, sys.stdout.encoding or "utf-8")


def _fits(table: Table, widths: Sequence[int], limit: int) -> bool:
    """Whether it is no wider than `limit`, and each character of its cells takes one place of a terminal."""
    from rich.cells import cell_len

    if sum(widths) + _GAP * (len(widths) - 1) > limit:
        return False
    cells = ([column.head for column in table.columns], *(map(_show, row) for row in table.rows))
    lines = (line for row in cells for cell in row for line in cell.split("\n"))
    return all(line.isprintable() and (line.isascii() or cell_len(line) == len(line)) for line in lines)


def _laid_out(table: Table, widths: Sequence[int]) -> "Text":
    """The table where every cell fits its column. rich, which also wraps, takes a millisecond for each row."""
    from rich.text import Span, Text

    heads = [column.head for column in table.columns]
    height = max(head.count("\n") for head in heads)
    heads = ["\n" * (height - head.count("\n")) + head for head in heads]  # they stand on the first row
    starts = [*accumulate((width + _GAP for width in widths), initial=0)]
    lines: list[str] = []
    spans: list[Span] = []
    place = 0
    for row in (heads, *table.rows):
        for cells in zip_longest(*(_show(cell).split("\n") for cell in row), fillvalue=""):
            padded = [
                cell.ljust(width) if column.align == "left" else cell.rstrip().rjust(width)
                for cell, column, width in zip(cells, table.columns, widths, strict=True)
            ]
            lines.append((" " * _GAP).join(padded))
            styles = ["dim" if row is heads else _STYLES.get(cell, "") for cell in cells]
            spans += [
                Span(place + starts[at], place + starts[at + 1], style) for at, style in enumerate(styles) if style
            ]
            place += len(lines[-1]) + 1
    return Text("\n".join(lines), spans=spans)


def _parts(table: Table, widths: Sequence[int], limit: int) -> Iterator["RichTable"]:
    """The table, or where it is too wide several below each other that repeat the first column."""
    part = [0]
    for index in range(1, len(widths)):
        if len(part) > 1 and sum(widths[i] + _GAP for i in [*part, index]) > limit + _GAP:
            yield _rich(table, part, widths)
            part = [0]
        part.append(index)
    yield _rich(table, part, widths)


def _rich(table: Table, part: Sequence[int], widths: Sequence[int]) -> "RichTable":
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="dim")
    for index in part:
        column = table.columns[index]
        heading = Text(column.head)
        drawn.add_column(heading, justify=column.align, min_width=widths[index], vertical="top", overflow="fold")
    for row in table.rows:
        texts = [_show(row[index]) for index in part]
        drawn.add_row(*(Text(text, style=_STYLES.get(text, "")) for text in texts))
    return drawn


def _widths(columns: Sequence[Column], alike: Sequence[Table]) -> list[int]:
    """Least widths that align tables of the same columns."""
    widths = []
    for index, column in enumerate(columns):
        cells = [column.head, *(_show(row[index]) for table in alike for row in table.rows)]
        widths.append(max(len(line) for cell in cells for line in cell.split("\n")))
    return widths


def _squeezed(columns: Sequence[Column], widths: Sequence[int]) -> list[int]:
    """Where the widths do not fit, prose may wrap; numbers never do."""
    return [
        min(width, _PROSE) if column.align == "left" else width for width, column in zip(widths, columns, strict=True)
    ]


def _show(cell: Cell) -> str:
    return "" if cell is None else str(cell)


_EIGHTHS = "▏▎▍▌▋▊▉█"


_PLAIN = str.maketrans(dict.fromkeys("▏▎▍", "-") | dict.fromkeys("▌▋▊▉█", "#"))


def bar(share: float, width: int = 8) -> str:
    """As long as the `share` (0 to 1) of `width` characters; what is above nothing is seen."""
    if not share > 0:
        return ""
    full, part = divmod(max(1, round(min(share, 1.0) * width * 8)), 8)
    return _EIGHTHS[-1] * full + (_EIGHTHS[part - 1] if part else "")


def sayable(text: str, encoding: str) -> str:
    """`text`, with bars of ASCII where `encoding` has no others."""
    try:
        _EIGHTHS.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return text.translate(_PLAIN)
    return text
