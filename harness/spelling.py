"""What people write on the command line for durations, sizes, shares and axes, and what it means."""

import re

from harness.errors import UsageError
from harness.model import Value, normalise_value

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(?:([kmgt])(i?))?b?", re.IGNORECASE)
_SHARE = re.compile(r"([0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*(%?)")
_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?")


def parse_duration(text: str) -> float:
    """Seconds of "90", "90s", "5m" or "1h30m". Raises UsageError for anything else, and for nothing."""
    match = _DURATION.fullmatch(text.strip())
    parts = [float(part or 0) for part in match.groups()] if match else []
    if not sum(parts):
        raise UsageError(f"{text!r} is not a duration; write 90s, 5m or 1h30m")
    return parts[0] * 3600 + parts[1] * 60 + parts[2]


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


def parse_axes(texts: tuple[str, ...]) -> dict[str, tuple[Value, ...]]:
    """Axis values by name, from "m=1,128". Raises UsageError when a text is not of that form."""
    axes: dict[str, tuple[Value, ...]] = {}
    for text in texts:
        name, _, values = text.partition("=")
        parsed = tuple(normalise_value(value) for value in values.split(",") if value.strip())
        if not name.strip() or not parsed:
            raise UsageError(f"--axis {text!r} is not of the form name=value,value, as in m=1,128")
        axes[name.strip()] = axes.get(name.strip(), ()) + parsed
    return axes
