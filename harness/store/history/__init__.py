"""A history on disk: a folder of Parquet files, one a run. It can be made again from the runs, which stay the truth."""

from harness.store.history.folder import add, dataset, read

__all__ = ["add", "dataset", "read"]
