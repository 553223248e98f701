"""Months of runs: rows of a run, series over runs, and where a series changes."""
