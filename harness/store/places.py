"""Where runs, gates and baselines lie unless somebody says otherwise, and what they are called."""

import secrets
from datetime import datetime
from pathlib import Path

from harness.model import Revision

RUNS = Path("results", "runs")
"""Where runs lie that are given no directory."""
HISTORY = Path("results", "history")
"""Where the history lies that no other folder is named for."""
GATES = Path("results", "gates")
"""Where gates lie that are given no directory."""
FLEETS = Path("results", "fleets")
"""Where the runs of many machines lie that are given no directory."""
BASELINES = Path("results", "baselines")
"""Where baselines lie that are given no directory."""


def new_name(started: datetime, what: str, code: Revision) -> str:
    """A name that no other run has, on whatever machine it begins in the same second; `started` is in UTC.

    It says when, what and of which commit, and ends in 8 random hexadecimal digits.
    """
    commit = f"-{code.commit[:7]}" + ("-dirty" if code.dirty else "") if code.commit else ""
    return f"{started:%Y%m%dT%H%M%SZ}-{what}{commit}-{secrets.token_hex(4)}"
