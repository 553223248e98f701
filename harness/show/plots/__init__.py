"""Figures of runs: functions from frames to a matplotlib Figure, by name in PLOTS.

A figure whose data is not there raises NothingMeasuredError with a line that says what it needs.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, NamedTuple, TypeAlias

import pandas as pd
from matplotlib.figure import Figure

from harness import frames
from harness.analysis.arguments import Source
from harness.model.units import choices
from harness.show.plots.accuracy import agreement, error_against_groups, sqnr_against_bits, worst_channels
from harness.show.plots.error_shape import error_shape
from harness.show.plots.history import history
from harness.show.plots.landscape import landscape
from harness.show.plots.memory import memory
from harness.show.plots.noise import precision, timings, timings_in_order
from harness.show.plots.roofline import roofline
from harness.show.plots.scaling import over_threads, over_tokens
from harness.show.plots.speed import speedup
from harness.show.plots.tradeoff import tradeoff

Section: TypeAlias = Literal["trade-off", "speed", "roofline", "accuracy", "memory", "noise", "history"]
"""The part of a report that a figure belongs to."""

FRAMES: dict[str, Callable[..., pd.DataFrame]] = {
    "summary": frames.summary,
    "latencies": partial(frames.samples, metric="latency"),
    "ceilings": frames.ceilings,
    "error_histograms": partial(frames.samples, metric="error_histogram"),
}
"""What a figure may be drawn from, each made of runs."""


class Plot(NamedTuple):
    """How a figure is drawn, the section that it belongs to, and the names in FRAMES of the frames that it takes."""

    draw: Callable[..., Figure]
    section: Section
    frames: tuple[str, ...] = ("summary",)
    of_many_runs: bool = False
    """Whether one figure is drawn of all runs together; else one a run."""
    over_baseline: bool = False
    """Whether `draw` takes a `baseline`."""


PLOTS: dict[str, Plot] = {
    "latency-against-error": Plot(tradeoff, "trade-off"),
    "speed-up": Plot(speedup, "speed", ("summary", "ceilings"), over_baseline=True),
    "speed-over-shapes": Plot(landscape, "speed", over_baseline=True),
    "latency-over-tokens": Plot(over_tokens, "speed"),
    "speed-over-threads": Plot(over_threads, "speed"),
    "roofline": Plot(roofline, "roofline", ("summary", "ceilings"), over_baseline=True),
    "sqnr-against-bits": Plot(sqnr_against_bits, "accuracy"),
    "error-against-groups": Plot(error_against_groups, "accuracy"),
    "agreement": Plot(agreement, "accuracy"),
    "error-shape": Plot(error_shape, "accuracy", ("error_histograms",)),
    "worst-channels": Plot(worst_channels, "accuracy"),
    "memory": Plot(memory, "memory"),
    "timings": Plot(timings, "noise", ("latencies",)),
    "timings-in-order": Plot(timings_in_order, "noise", ("latencies",)),
    "precision": Plot(precision, "noise"),
    "history": Plot(history, "history", of_many_runs=True),
}


def draw(name: str, runs: Source | Sequence[Source] = ()) -> Figure:
    """The figure `name` of PLOTS, of stored runs or of paths to them; one run may stand by itself.

    Raises ValueError for another name and for what is no run, StoreError for what cannot be read, and
    NothingMeasuredError where the runs do not have what the figure needs.
    """
    if not isinstance(name, str) or name not in PLOTS:
        raise ValueError(f"unknown figure {name!r}; {choices(name, PLOTS)}")
    plot = PLOTS[name]
    views = frames.views_of(runs)
    return plot.draw(*(FRAMES[frame](*views) for frame in plot.frames))
