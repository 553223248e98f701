"""pyperf at its defaults: 20 processes a benchmark."""

import pyperf
from calls import CALLS, SIDES, build

runner = pyperf.Runner()
for name in CALLS:
    for side in SIDES:
        runner.bench_func(f"{name}/{side}", build(name))
