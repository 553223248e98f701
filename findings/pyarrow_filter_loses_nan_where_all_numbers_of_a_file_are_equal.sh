#!/usr/bin/env bash
# pyarrow 26.0.1, pandas 3.1.1: a filter `x != 0.5` on a Parquet file drops a NaN, if every number beside it is 0.5.
#
# Expected: the rows that the same filter leaves of the table in memory: one, NaN, which is unequal to everything.
# Seen:     none of the file, by pyarrow.dataset and by pandas; one of the table. The file's minimum and maximum leave
#           NaN out, and by these the row group holds nothing but 0.5.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet pyarrow==26.0.1 pandas==3.1.1 numpy==2.4.6
cd "$work"
venv/bin/python - <<'P'
import sys

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

pq.write_table(pa.table({"x": [0.5, float("nan"), 0.5]}), "file.parquet")
unequal = ds.field("x") != 0.5
found = {
    "pyarrow, file": ds.dataset("file.parquet").to_table(filter=unequal).num_rows,
    "pandas, file": len(pd.read_parquet("file.parquet", filters=[("x", "!=", 0.5)])),
    "pyarrow, table": ds.dataset("file.parquet").to_table().filter(unequal).num_rows,
}
print(f"pyarrow {pa.__version__}, pandas {pd.__version__}: rows {found}")
sys.exit(found != {"pyarrow, file": 0, "pandas, file": 0, "pyarrow, table": 1})
P
