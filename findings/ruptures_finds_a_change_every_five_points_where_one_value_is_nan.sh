#!/usr/bin/env bash
# ruptures 1.1.10: PELT with the rbf cost finds a change at every place that it may, if a single value of the series is
# NaN, and says nothing.
#
# Expected: an error, or the changes of the other 59 values: none.
# Seen:     [5, 10, ..., 60]; of the same series without the NaN [60], which is none.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet ruptures==1.1.10 numpy==2.4.6 scipy==1.17.1
"$work/venv/bin/python" -W ignore - <<'P'
import sys

import numpy as np
import ruptures

series = 1 + np.random.default_rng(0).normal(0, 0.1, 60)
found = {"whole": ruptures.Pelt(model="rbf").fit(series).predict(pen=4)}
series[10] = np.nan
found["one NaN"] = ruptures.Pelt(model="rbf").fit(series).predict(pen=4)
print(f"ruptures {ruptures.__version__}: {found}")
sys.exit(found != {"whole": [60], "one NaN": list(range(5, 61, 5))})
P
