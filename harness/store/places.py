"""Where runs, gates and baselines lie unless somebody says otherwise."""

from pathlib import Path

RUNS = Path("results", "runs")
"""Where runs lie that are given no directory."""
HISTORY = Path("results", "history")
"""Where the history lies that no other folder is named for."""
GATES = Path("results", "gates")
"""Where gates lie that are given no directory."""
BASELINES = Path("results", "baselines")
"""Where baselines lie that are given no directory."""
