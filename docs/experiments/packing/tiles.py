"""A block of ternary weights, unpacked and multiplied with one token: `F.linear` beside tiles of rows, turn by turn.

    python -m docs.experiments.packing.tiles SECONDS [K]

A turn is the median of 40 calls of each. Where cores do not share a cache at all times, as on a virtual machine that is
moved about, turns are of more than one kind; so their quantiles are printed, and not one number.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from bitlinear.engines.packed import BLOCK_BYTES, TILE_BYTES, product_by_tiles
from bitlinear.layouts.packing import TERNARY

TILE = TILE_BYTES // 4


def median_latency(call: Callable[[], Tensor]) -> float:
    """Seconds of a call, the median of 40."""
    taken = []
    for _ in range(40):
        begin = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seconds", type=float)
    parser.add_argument("k", type=int, nargs="?", default=2560)
    given = parser.parse_args()
    rows = BLOCK_BYTES // (4 * given.k) // TILE * TILE
    codes = TERNARY.pack(torch.randint(-1, 2, (rows, given.k)))
    a = torch.randint(-127, 128, (1, given.k)).float()
    read, unit = TERNARY.reading(given.k)
    a *= unit

    calls: dict[str, Callable[[], Tensor]] = {
        "F.linear": lambda: F.linear(a, read(codes).float()),
        "tiles": lambda: product_by_tiles(a, read(codes).float()),
    }
    turns = []
    end = time.monotonic() + given.seconds
    while time.monotonic() < end:
        turns.append({name: 1e6 * median_latency(call) for name, call in calls.items()})
    table = pd.DataFrame(turns)
    table["ratio"] = table["F.linear"] / table["tiles"]
    print(f"{len(table)} turns, {rows} rows of {given.k}, {torch.get_num_threads()} threads, microseconds")
    print(table.quantile([0, 0.1, 0.5, 0.9, 1]).round(1).to_string())


if __name__ == "__main__":
    main()
