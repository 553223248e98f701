#!/usr/bin/env bash
# duckdb 2.0.1, pyarrow 26.0.1: pyarrow leaves NaN out of a column's minimum and maximum in the file. DuckDB answers
# from these, so the same query finds other rows in the file than in a table that is made of it.
#
# Expected: both answer alike; DuckDB's NaN is greater than every number, so `x > 1` finds it and it is the maximum.
# Seen:     of the table 1 row, maximum NaN, 1 NaN; of the file 0 rows, maximum 0.5, 0 NaN.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet duckdb==2.0.1 pyarrow==26.0.1
cd "$work"
venv/bin/python - <<'P'
import sys

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

pq.write_table(pa.table({"x": [0.5, float("nan"), 0.5]}), "file.parquet")
base = duckdb.connect()
base.execute("create table made as select * from 'file.parquet'")
where = "select count(*) from {} where x > 1"
nans = "select count(*) from {} where isnan(x)"
found = {
    name: (
        base.execute(where.format(source)).fetchone()[0],
        base.execute(f"select cast(max(x) as text) from {source}").fetchone()[0],
        base.execute(nans.format(source)).fetchone()[0],
    )
    for name, source in (("table", "made"), ("file", "'file.parquet'"))
}
print(f"duckdb {duckdb.__version__}, pyarrow {pa.__version__}: rows above 1, maximum, rows of NaN: {found}")
sys.exit(found != {"table": (1, "nan", 1), "file": (0, "0.5", 0)})
P
