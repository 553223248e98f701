"""`verdict.md`: a comment for a pull request. Whatever is in a name, the page stays whole, short and ours."""

import re
from collections.abc import Sequence

from harness.show.ci.rows import VerdictRow, rows, shared_words
from harness.show.ci.verdict_file import RunSide, VerdictFile
from harness.show.verdict_words import legend, spaced

MARKER = "<!-- bitbench gate -->"
"""The first line, by which a workflow finds the comment that it updates."""
MOST = 10
"""Rows that are seen without unfolding anything."""
ROOM = 59_999
"""Bytes of UTF-8, which are never fewer than characters. GitHub takes 65,536 characters."""

_LONGEST = 400
"""Characters of one text that somebody else wrote."""
_NOTICE = 200
"""Bytes kept free to say how much is left out."""
_HEADING = "| verdict | implementation | case | metric | change, reason |\n| --- | --- | --- | --- | --- |\n"

_SPECIAL = re.compile(
    r"(?P<structure>[&<>|\\`*~$]"  # HTML, cells, code, emphasis, formulas
    r"|\](?=[(\[:])"  # links and their definitions
    r"|(?<![^\W_])_|_(?![^\W_]))"  # emphasis, but not weight_bytes
    r"|[@#](?=\S)"  # mentions of people and of issues
    r"|(?<=:)(?=//)|(?<=www)(?=\.)|(?<=GH)(?=-)",  # what becomes a link by itself
    re.IGNORECASE,
)
_NOTHING = "&#8203;"
"""A space of no width, seen in the source: GitHub looks for people in the text after it has resolved entities."""


def page(verdict: VerdictFile, room: int = ROOM) -> str:
    """Markdown of at most `room` bytes: headline, the gravest rows, and the rest folded, as far as it fits.

    Empty where not even the headline fits.
    """
    opening = _opening(verdict)
    if _size(opening) > room:
        return ""
    found = rows(verdict)
    grave = _fitting([_line(row) for row in found if row.word != "ok"][:MOST], (room - _size(opening)) // 2)
    table = f"\n{_HEADING}{''.join(grave)}" if grave else ""
    rest = [_line(row) for row in found[len(grave) :]]
    left = room - _size(opening) - _size(table)
    judged = _folded("How it was judged", "", _particulars(verdict), left // 3, "lines")
    more = _folded(_count(rest, "more " if grave else ""), _HEADING, rest, left - _size(judged), "rows")
    return f"{opening}{table}{more}{judged}"


def escaped(text: str) -> str:
    """`text` on one line and as it is: no Markdown, HTML, link, formula, or mention of people or issues."""
    seen = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    if len(seen) > _LONGEST:
        seen = seen[: _LONGEST - 1] + "…"
    return _SPECIAL.sub(lambda m: f"&#{ord(m[0])};" if m["structure"] else f"{m[0]}{_NOTHING}", seen)


def _opening(verdict: VerdictFile) -> str:
    lines = [f"### bitbench gate: {escaped(verdict.headline)}"]
    lines += [escaped(verdict.invalid)] if verdict.invalid else []
    lines += [escaped(verdict.tolerated)] if verdict.tolerated else []
    sides = [(name, side) for name, side in (("base", verdict.base), ("head", verdict.head)) if side]
    lines += ["\\\n".join(_side(name, side) for name, side in sides)] if sides else []
    lines += [f"All of {escaped(shared)}"] if (shared := shared_words(verdict)) else []
    words = legend(verdict.judged)
    lines += [escaped(f"{words[0].upper()}{words[1:]}.")] if verdict.judged else []
    return "\n\n".join([f"{MARKER}\n{lines[0]}", *lines[1:]]) + "\n"


def _side(name: str, side: RunSide) -> str:
    commit = escaped(side.revision.commit[:7]) or "unknown"
    return f"{name}: commit {commit}{' with changes' * side.revision.dirty}, run {escaped(side.id)}"


def _particulars(verdict: VerdictFile) -> list[str]:
    """How it was judged, and what is to be known besides."""
    sentinels = (f"sentinel {one.case.name}: {spaced(one.word)}: {one.reason}" for one in verdict.sentinels)
    warnings = (f"warning: {warning}" for warning in verdict.warnings)
    return [f"- {escaped(line)}\n" for line in (*verdict.notes, *warnings, *verdict.rules_in_words, *sentinels)]


def _line(row: VerdictRow) -> str:
    cells = (spaced(row.word), *map(escaped, row[1:]))
    return f"| {' | '.join(cells)} |\n"


def _folded(summary: str, heading: str, lines: Sequence[str], room: int, noun: str) -> str:
    """A part that is closed at first, of at most `room` bytes; it says how many lines did not fit."""
    before, after = f"\n<details><summary>{summary}</summary>\n\n{heading}", "\n</details>\n"
    room -= _size(before) + _size(after) + _NOTICE
    if not lines or room < 0:
        return ""
    shown = _fitting(lines, room)
    omitted = len(lines) - len(shown)
    notice = f"\n{omitted:,} {noun} are left out here; `verdict.json` has them all.\n" if omitted else ""
    return f"{before}{''.join(shown)}{notice}{after}"


def _fitting(lines: Sequence[str], room: int) -> list[str]:
    """The first lines, as many as take at most `room` bytes."""
    shown: list[str] = []
    for line in lines:
        room -= _size(line)
        if room < 0:
            break
        shown.append(line)
    return shown


def _count(lines: Sequence[str], more: str) -> str:
    return f"{len(lines):,} {more}row{'s' * (len(lines) != 1)}"


def _size(text: str) -> int:
    return len(text.encode())
