"""A history on disk: a folder of Parquet files, one a run. It can be made again from the runs, which stay the truth."""

from harness.store.history.folder import add, arrow_field, dataset, read

__all__ = ["add", "arrow_field", "dataset", "read"]
