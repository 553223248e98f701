"""`interleave_builds` in one process: both sides in turns, built anew now and then, 0.4 s a pair."""

import json
import math
from functools import partial

from calls import CALLS, SIDES, build

from harness.estimators.intervals import log_ratio
from harness.measure import interleave_builds

ratios = {}
for name in CALLS:
    one, other = interleave_builds({side: partial(build, name) for side in SIDES}, seconds=0.4).values()
    ratios[name] = [1.0, math.exp(log_ratio(one, other))]
print(json.dumps(ratios))
