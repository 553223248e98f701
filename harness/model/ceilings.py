"""What a machine can do at most, as measured on it: what is kept of several measurements, and which is meant."""

from collections.abc import Mapping, Sequence

import msgspec

from harness.model.case import Case
from harness.model.record import Amount, Count


class Ceilings(msgspec.Struct, frozen=True, kw_only=True):
    """What the machine can do at most, as measured on it; 0 where it was not measured.

    Bandwidths are bytes read a second: from what fits into the caches of single cores (`core_cache_bytes` of all
    threads together), into the last-level cache of `cache_bytes`, and into neither. By dtype: operations a second of
    a large matrix product; a multiply and an add count as two.
    """

    device: str = "cpu"
    threads: Count = 0
    core_cache_bytes: Count = 0
    core_cache_bandwidth: Amount = 0.0
    cache_bytes: Count = 0
    cache_bandwidth: Amount = 0.0
    memory_bandwidth: Amount = 0.0
    float32: Amount = 0.0
    bfloat16: Amount = 0.0
    float16: Amount = 0.0
    int8: Amount = 0.0


SEVERAL = 4
"""What is this many times as large as a cache is read from behind it: the set that memory is measured with."""


def matching(case: Case, everywhere: Sequence[Ceilings]) -> Ceilings | None:
    """The ceilings of the device and the threads of `case`, or None."""
    device, threads = case.params.get("device", "cpu"), case.params.get("threads")
    return next((one for one in everywhere if one.device == device and threads in (None, one.threads)), None)


def from_answer(device: str, values: Mapping[str, tuple[float, ...]]) -> Ceilings:
    """What a worker answers to `messages.MeasureCeilings`. Raises msgspec.ValidationError for anything else."""
    singles = {name: int(value) if value.is_integer() else value for name, (value,) in values.items()}
    return msgspec.convert({**singles, "device": device}, Ceilings)


def merge(one: Ceilings, other: Ceilings) -> Ceilings:
    """The higher of each: noise only lowers what a machine is seen to do. Both must be of one device and its threads.

    Raises ValueError if they are not.
    """
    if (one.device, one.threads) != (other.device, other.threads):
        raise ValueError(
            f"ceilings of {one.device} with {one.threads} threads and of {other.device} with {other.threads} do not mix"
        )
    here, there = msgspec.structs.asdict(one), msgspec.structs.asdict(other)
    higher = {name: max(value, there[name]) for name, value in here.items() if name != "device"}
    return Ceilings(device=one.device, **higher)
