"""asv at its defaults."""

import sys
from pathlib import Path

# asv imports this file alone.
sys.path.insert(0, str(Path(__file__).parents[1]))
from calls import CALLS, SIDES, build


class Calls:
    """Every call, twice."""

    params = (list(CALLS), list(SIDES))
    param_names = ("name", "side")

    def setup(self, name: str, side: str) -> None:
        """Build one side."""
        del side
        self.call = build(name)

    def time_call(self, name: str, side: str) -> None:
        """One call."""
        del name, side
        self.call()
