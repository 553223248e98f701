"""Units of other tools: which metric a number is of, and by which power of ten it is in the base unit."""

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from harness.model import Exact, Metric, Sampled
from harness.model.metrics import LATENCY, METRICS

_TIMES = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 0),
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), -3),
    **dict.fromkeys(("us", "µs", "μs", "usec", "microsecond", "microseconds"), -6),
    **dict.fromkeys(("ns", "nsec", "nanosecond", "nanoseconds"), -9),
}
_BYTES = {"b": 0, "byte": 0, "bytes": 0, "kb": 3, "mb": 6, "gb": 9}
_EACH = re.compile(r"/(?:op|iter|iteration|call)s?$", re.IGNORECASE)
"""Ends the unit of what is per call already."""
_PER_SECOND = re.compile(r"/(?:s|sec|second)$", re.IGNORECASE)
_KEPT_UNIT = re.compile(r"[^\W_\d]\S{0,11}|%")


@dataclass(frozen=True)
class Quantity:
    """A metric, and how numbers of a file become values of it."""

    metric: Metric
    power: int = 0
    """Of ten, that a number is multiplied by."""

    def of(self, number: float) -> float:
        """The value in the metric's unit."""
        return scaled(number, self.power)


def scaled(number: float, power: int) -> float:
    """`number` times ten to the `power`, as if the point had been moved in its shortest decimal spelling.

    So 458.3 ns are 4.583e-07 s exactly, which a product of two binary numbers would miss in its last bit.
    """
    if power == 0 or not math.isfinite(number):
        return float(number)
    return float(Decimal(repr(float(number))).scaleb(power))


def quantity(name: str, unit: str, better: Literal["lower", "higher", ""] = "", *, counted: bool = False) -> Quantity:
    """The quantity `name` in `unit`, both as a tool writes them. An empty name of a time means the latency of a call.

    Without `better` only times, bytes (lower) and rates (higher) have a direction; any other is shown and never
    judged. `counted` says that a repetition gives the value again, up to a per cent.
    """
    bare = _EACH.sub("", unit.strip())
    low = bare.lower()
    if low in _TIMES or bare in _TIMES:
        return Quantity(_sampled(name or LATENCY.name, "s", better or "lower"), _TIMES.get(bare, _TIMES.get(low, 0)))
    if low in _BYTES:
        known, power = _sampled(name or "bytes", "B", better or "lower"), _BYTES[low]
        return Quantity(_counted(known) if counted else known, power)
    if _PER_SECOND.search(low):
        what = _PER_SECOND.sub("", low)
        if what in _BYTES:
            return Quantity(_sampled(name or "bandwidth", "B/s", better or "higher"), _BYTES[what])
        return Quantity(_sampled(name or "rate", "1/s", better or "higher"))
    known = _other(name or bare or "value", bare, better)
    return Quantity(_counted(known) if counted and isinstance(known, Sampled) else known)


def _sampled(name: str, unit: str, better: Literal["lower", "higher"]) -> Metric:
    own = METRICS.get(name)
    if own is not None and (own.unit, own.better) == (unit, better):
        return own
    return Sampled(name=_name(name), title=name, unit=unit, better=better)


def _other(name: str, unit: str, better: Literal["lower", "higher", ""]) -> Metric:
    """Of a unit that nothing is known of."""
    own = METRICS.get(name)
    if own is not None and own.unit == unit:
        return own
    title = f"{name} in {unit}" if unit and unit != name else name
    kept = unit if _KEPT_UNIT.fullmatch(unit) else "1"
    kind = Exact if kept == "dB" else Sampled
    return kind(name=_name(name), title=title, unit=kept, better=better or "lower", informative=not better)


def _counted(metric: Metric) -> Metric:
    """The same as one that is compared directly; allocators differ between machines."""
    return Exact(
        name=metric.name,
        title=metric.title,
        unit=metric.unit,
        better=metric.better,
        relative_tolerance=0.01,
        machine_dependent=True,
    )


def _name(text: str) -> str:
    """A name that a metric may bear: that of another metric of ours gets an ending."""
    plain = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:32]
    plain = plain if plain[:1].isalpha() else f"n_{plain}"
    return f"{plain}_value" if plain in _TAKEN else plain


_TAKEN = {*METRICS, "exact", "sampled", "paired", "portable", "run", "suite", "case", "implementation", "metric"}
