"""Numbers with units, as people write and read them."""

import difflib
import math
import re
from collections.abc import Iterable, Sequence

from harness.errors import UsageError


def figure(value: float, digits: int) -> str:
    """`value` with `digits` significant digits, without exponent; whole numbers are never rounded."""
    if not math.isfinite(value) or value == 0:
        return f"{value:g}"
    decimals = digits - 1 - math.floor(math.log10(abs(value)))
    return f"{value:.{max(0, decimals)}f}"


def amount(value: float, unit: str, digits: int = 3) -> str:
    """`value`, in base units, with the unit that suits its size: `458 us`, `6.25 MiB`, `8.06 dB`, `0.997`."""
    if unit in _STEPS and math.isfinite(value):
        size, name = suited(value, unit)
        return f"{value:g} B" if name == "B" else f"{figure(value / size, digits)} {name}"
    if unit == "dB":
        return f"{_decibels(value, digits)} dB"
    number = f"{value:.{digits + 1}g}"
    return number if unit in _UNSAID or not math.isfinite(value) else f"{number} {unit}"


def is_known(centre: float, hi: float) -> bool:
    """Whether an interval leaves something to say: beyond ±100 % it holds both half and double."""
    return not hi > (1 + WIDEST) * centre


def spread(centre: float, hi: float) -> str:
    """Half an interval on the log scale, as the benchmark world writes it: `±1.2%`; `±?` where there is none.

    `not known` where it says nothing (`is_known`).
    """
    if not is_known(centre, hi):
        return NOT_KNOWN
    if not math.isfinite(hi):
        return "±?"
    percent = 100 * (hi / centre - 1)
    return f"±{percent:.{0 if percent >= 10 else 1}f}%"


def with_spread(centre: float, lo: float, hi: float, unit: str) -> tuple[str, str, str]:
    """A mean, half its interval to two significant digits, and the unit, as `("1.023", "±0.012", "bit/B")`.

    The interval is relative where the unit has steps, and empty where it is none. A unit may go without saying.
    """
    half = (hi - lo) / 2
    if unit in _STEPS or not 0 < half < math.inf or not math.isfinite(centre):
        number, _, name = amount(centre, unit).partition(" ")
        is_relative = unit in _STEPS and half > 0 and centre > 0
        return number, spread(centre, hi) if is_relative else "", name
    number, width = _alike((centre, half), half)
    return number, f"±{width}", "" if unit in _UNSAID else unit


def signed_amount(centre: float, lo: float, hi: float, unit: str) -> str:
    """`+0.012 [+0.004, +0.020] bit/B`: a difference with its interval, if it has one, in the unit that suits it."""
    known = [abs(value) for value in (centre, lo, hi) if math.isfinite(value)]
    size, name = suited(max(known, default=0.0), unit)
    values = [value / size for value in (centre, lo, hi)]
    half = (values[2] - values[1]) / 2
    words, *bounds = _alike(values, half if 0 < half < math.inf else abs(values[0]), sign="+")
    interval = f" [{', '.join(bounds)}]" if 0 < half < math.inf else ""
    return f"{words}{interval}{'' if name in _UNSAID else f' {name}'}"


def _alike(values: Sequence[float], width: float, sign: str = "") -> list[str]:
    """Numbers with as many decimals as `width` takes for two significant digits; as powers of ten where those are many.

    There is no -0.
    """
    decimals = 1 - math.floor(math.log10(width)) if 0 < width < math.inf else 2
    if decimals > _MOST_DECIMALS or max(map(abs, values)) >= 10**_MOST_DECIMALS:
        return [f"{value:{sign}.3g}" for value in values]
    return [f"{round(value, max(decimals, 0)) + 0.0:{sign}.{max(decimals, 0)}f}" for value in values]


def supported_digits(centre: float, hi: float) -> int:
    """As many significant digits as make the last one a tenth of the interval's half width: two to four."""
    relative = hi / centre - 1 if math.isfinite(hi) else math.nan
    if not relative > 0:
        return 4 if relative == 0 else 3
    return min(4, max(2, math.ceil(-math.log10(relative)) + 1))


def suited(value: float, unit: str) -> tuple[float, str]:
    """Size, in base units, and name of the unit that suits `value`: `(1e-6, "us")`; the base unit where it is alone."""
    steps = _STEPS.get(unit, ((1.0, unit),))
    return next((step for step in steps if abs(value) >= step[0]), steps[-1])


def distinct_amounts(before: float, after: float, unit: str) -> tuple[str, str]:
    """Both amounts, with as many digits as it takes to tell them apart."""
    texts = ((amount(before, unit, digits), amount(after, unit, digits)) for digits in range(3, 17))
    return next(((one, other) for one, other in texts if one != other), (repr(before), repr(after)))


_WHOLE = re.compile(r"[+-]?[0-9]{1,30}")


_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(?:([kmgt])(i?))?b?", re.ASCII | re.IGNORECASE)


_SHARE = re.compile(r"([0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*(%?)")


_DURATION = re.compile(r"(?:([0-9.]+)h)?(?:([0-9.]+)m)?(?:([0-9.]+)s?)?")


WIDEST = 1.0
"""Half width of an interval, relative, beyond which a number is not known."""
MOST_CHANGE = 10.0
"""As a share: a bound of an interval beyond it says no more than that."""
NOT_KNOWN = "not known"
_MOST_DECIMALS = 8
"""Decimals, and places before them, beyond which a number is a power of ten."""


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


_UNSAID = ("1", "bit")
"""Units that go without saying."""
_STEPS = {
    "s": ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns")),
    "B": ((2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"), (1.0, "B")),
}


def _decibels(value: float, digits: int) -> str:
    """Never more than `digits` - 1 decimals, as the step from 0.04 to 0.05 dB is as small as that from 8.04 to 8.05."""
    if not math.isfinite(value):
        return f"{value:g}"
    whole = len(str(int(abs(value))))
    return f"{value:.{max(0, digits - whole)}f}"


def percent_change(share: float, lo: float = math.nan, hi: float = math.nan) -> str:
    """`-8.0 % [-9.9, -6.1]`: a change with its interval, if it has one; a share of 0.03 is 3 % more."""
    interval = f" [{_signed(lo)}, {_signed(hi)}]" if math.isfinite(lo) and math.isfinite(hi) else ""
    return f"{_signed(share)} %{interval}"


def _signed(share: float) -> str:
    """In percent; there is no -0.0."""
    if share > MOST_CHANGE:
        return f">+{100 * MOST_CHANGE:.0f}"
    return f"{round(100 * share, 1) + 0.0:+.1f}"
