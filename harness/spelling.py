"""What people write on the command line for numbers, durations, sizes, shares, names and axes, and what it means.

Digits are those from 0 to 9: Python would read those of every script, and `1_0` as 10.
"""

import difflib
import math
import re
from collections.abc import Iterable

from harness.errors import UsageError
from harness.model import Value, normalise_value

_WHOLE = re.compile(r"[+-]?[0-9]{1,30}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(?:([kmgt])(i?))?b?", re.ASCII | re.IGNORECASE)
_SHARE = re.compile(r"([0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*(%?)")
_DURATION = re.compile(r"(?:([0-9.]+)h)?(?:([0-9.]+)m)?(?:([0-9.]+)s?)?")
LONGEST_VALUE = 100
"""Characters of an axis value."""
LONGEST = 8760 * 3600
"""Seconds of a year: what is longer is a slip, and no timer takes every number."""


def choices(given: object, known: Iterable[str]) -> str:
    """`choose from: a, b`, and the one of `known` that is meant where one is close: the end of a refusal."""
    names = list(known)
    meant = difflib.get_close_matches(str(given), names, 1)
    return f"choose from: {', '.join(names)}{f'; did you mean {meant[0]}?' if meant else ''}"


def parse_whole(text: str, smallest: int, largest: int) -> int:
    """The whole number that `text` writes. Raises UsageError for anything else, and beyond the bounds."""
    number = int(text) if _WHOLE.fullmatch(text.strip()) else None
    if number is None or not smallest <= number <= largest:
        raise UsageError(f"{text!r} is not a whole number from {smallest} to {largest}")
    return number


def parse_number(text: str) -> float:
    """The finite number that `text` writes. Raises ValueError for anything else: words, infinities and NaN too."""
    number = float(text) if _NUMBER.fullmatch(text.strip()) else math.nan
    if not math.isfinite(number):
        raise ValueError(f"{text!r} is not a number")
    return number


def parse_duration(text: str) -> float:
    """Seconds of "90", "90s", "5m" or "1h30m". Raises UsageError for anything else, for nothing and beyond a year."""
    match = _DURATION.fullmatch(text.strip())
    try:
        parts = [parse_number(part or "0") for part in match.groups()] if match else []
    except ValueError:
        parts = []
    seconds = sum(part * size for part, size in zip(parts, (3600, 60, 1), strict=False))
    if not 0 < seconds <= LONGEST:
        limit = " of at most 8760h, a year" if seconds else ""
        raise UsageError(f"{text!r} is not a duration{limit}; write 90s, 5m or 1h30m")
    return seconds


def parse_share(text: str) -> float:
    """0.02 of "2%". Raises UsageError for anything that is not above 0 and at most 100 %.

    A number alone is refused: it would be taken for a share of 1 by some, and for per cent by others.
    """
    match = _SHARE.fullmatch(text.strip())
    number = float(match[1]) if match else 0.0
    if match and match[2] and 0 < number <= 100:
        return number / 100
    if match and not match[2] and 0 < number <= 1:
        raise UsageError(f"{text!r} has no unit: write {100 * number:g}%, or {number:g}% if that is meant")
    if match and not match[2] and 0 < number <= 100:
        raise UsageError(f"{text!r} has no unit: write {number:g}%")
    raise UsageError(f"{text!r} is no share above 0% and at most 100%: write it in per cent, as 2%")


def parse_size(text: str) -> float:
    """Bytes of "4GiB", "500MB" or "2g"; "none" is 0, no limit. Raises UsageError for anything else, and for nothing."""
    if text.strip().lower() == "none":
        return 0.0
    match = _SIZE.fullmatch(text.strip())
    size = float(match[1]) * (1024 if match[3] else 1000) ** "_kmgt".index((match[2] or "_").lower()) if match else 0.0
    if not 1 <= size < 2**62:
        raise UsageError(f"{text!r} is not a size; write 4GiB, 500MB or none")
    return float(int(size))


def parse_names(option: str, texts: Iterable[str]) -> tuple[str, ...]:
    """Names of texts such as "a,b", each once. Raises UsageError that names `option` for a name that is empty."""
    names = [name.strip() for text in texts for name in text.split(",")]
    if not all(names):
        raise UsageError(f"{option} {','.join(names)!r} has an empty name; give names joined by commas, as in a,b")
    return tuple(dict.fromkeys(names))


def parse_axes(texts: Iterable[str]) -> dict[str, tuple[Value, ...]]:
    """Axis values by name, from "m=1,128"; an axis that is given several times has all those values, each once.

    Raises UsageError when a text is not of that form.
    """
    axes: dict[str, tuple[Value, ...]] = {}
    for text in texts:
        name, _, values = text.partition("=")
        written = [value.strip() for value in values.split(",")]
        if not name.strip() or not all(written):
            raise UsageError(f"--axis {text[:100]!r} is not of the form name=value,value, as in m=1,128")
        if len(longest := max(written, key=len)) > LONGEST_VALUE:
            raise UsageError(
                f"--axis {name.strip()[:100]}: no value has {len(longest)} characters; it begins {longest[:20]!r}"
            )
        given = (*axes.get(name.strip(), ()), *map(normalise_value, written))
        axes[name.strip()] = tuple(dict.fromkeys(given))
    return axes
