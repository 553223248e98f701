"""Figures of runs: functions from a frame to a matplotlib Figure, by name in PLOTS.

A figure whose data is not there raises NothingMeasuredError with a line that says what it needs.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from harness.plots.accuracy import error_against_groups, sqnr_against_bits
from harness.plots.cost import memory, tradeoff
from harness.plots.speed import speedup, timings


class Plot(NamedTuple):
    """How a figure is drawn, and which function of `harness.frames` makes the frame that it takes."""

    draw: Callable[[pd.DataFrame], Figure]
    frame: Literal["summary", "samples"] = "summary"


PLOTS: dict[str, Plot] = {
    "speed-up": Plot(speedup),
    "latency-against-error": Plot(tradeoff),
    "memory": Plot(memory),
    "sqnr-against-bits": Plot(sqnr_against_bits),
    "error-against-groups": Plot(error_against_groups),
    "timings": Plot(timings, "samples"),
}
