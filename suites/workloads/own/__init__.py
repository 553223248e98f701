"""Workloads of the harness itself: its own commands, sentinels, and contestants of known cost."""
