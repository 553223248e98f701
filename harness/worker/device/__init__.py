"""Where a workload runs: clocks, and counts of bytes."""
