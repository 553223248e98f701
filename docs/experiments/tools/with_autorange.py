"""torch.utils.benchmark, `blocked_autorange` at its defaults but for the threads, which would be 1: median a call."""

import json

from calls import CALLS, SIDES, THREADS, build
from torch.utils.benchmark import Timer


def seconds(name: str) -> float:
    """Median of one side."""
    timer = Timer("call()", globals={"call": build(name)}, num_threads=THREADS)
    return float(timer.blocked_autorange().median)


print(json.dumps({name: [seconds(name) for _ in SIDES] for name in CALLS}))
