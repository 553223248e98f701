"""Raw values of many records beside each other, as columns: the values of a large run come to millions."""

from collections.abc import Collection, Iterable, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
import pandas as pd

from harness.model import Measurement

_NO_BLOCK = -1


class RawValues(NamedTuple):
    """What was taken of one metric in one record."""

    record: int
    """A number for what else is known of it, which the caller gives."""
    round: int
    measurement: Measurement
    unit: str
    voided: Collection[int]
    """Blocks that count for nobody."""


def beside_each_other(everything: Sequence[RawValues]) -> pd.DataFrame:
    """A row a value, in the order given: `record round metric unit sample value block voided`.

    `sample` counts from 0 in each measurement, `block` is <NA> where values were not taken in blocks.
    """
    counts = np.array([len(one.measurement.values) for one in everything], int)
    which, total = np.repeat(np.arange(len(counts)), counts), int(counts.sum())
    blocks = [one.measurement.blocks or (_NO_BLOCK,) * len(one.measurement.values) for one in everything]
    voided = (map(one.voided.__contains__, mine) for one, mine in zip(everything, blocks, strict=True))
    block = _flat(blocks, int, total)
    return pd.DataFrame(
        {
            "record": np.array([one.record for one in everything], int)[which],
            "round": np.array([one.round for one in everything], int)[which],
            "metric": np.array([one.measurement.metric for one in everything], object)[which],
            "unit": np.array([one.unit for one in everything], object)[which],
            "sample": np.arange(total) - (np.cumsum(counts) - counts)[which],
            "value": _flat((one.measurement.values for one in everything), float, total),
            "block": pd.arrays.IntegerArray(block, block == _NO_BLOCK),
            "voided": _flat(voided, bool, total),
        }
    )


def _flat(parts: Iterable[Iterable[float]], kind: type[float], count: int) -> np.ndarray:
    return np.fromiter(chain.from_iterable(parts), kind, count)
