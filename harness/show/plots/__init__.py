"""Figures of runs: functions from frames to a Drawing, which is a figure and the frame that it shows, by name in PLOTS.

A figure whose data is not there raises NothingMeasuredError with a line that says what it needs.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, NamedTuple, TypeAlias

import pandas as pd

from harness import frames
from harness.analysis.arguments import Source
from harness.analysis.view import View
from harness.analysis.whole_model.step import PART
from harness.model.units import choices
from harness.show.plots import (
    accuracy,
    error_shape,
    history,
    landscape,
    memory,
    noise,
    roofline,
    scaling,
    speed,
    tradeoff,
)
from harness.show.plots.theme import Drawing
from harness.show.plots.whole_models.plan import plan
from harness.show.plots.whole_models.quality import quality
from harness.show.plots.whole_models.scores import rates, scores
from harness.show.plots.whole_models.sensitivity import sensitivity
from harness.show.plots.whole_models.training import training

Section: TypeAlias = Literal["whole-models", "trade-off", "speed", "roofline", "accuracy", "memory", "noise", "history"]
"""The part of a report that a figure belongs to."""


def _of_layers(*views: View) -> pd.DataFrame:
    """The summary without parts of whole models, which are no contests of layers: a decoder has no shape."""
    summary = frames.summary(*views)
    return summary[summary[PART].isna()] if PART in summary.columns else summary


FRAMES: dict[str, Callable[..., pd.DataFrame]] = {
    "summary": _of_layers,
    "latencies": partial(frames.samples, metric="latency", columns=noise.COLUMNS),
    "ceilings": frames.ceilings,
    "error_histograms": partial(frames.samples, metric="error_histogram"),
    "scores": scores,
    "rates": rates,
}
"""What a figure may be drawn from, each made of runs."""


class Plot(NamedTuple):
    """How a figure is drawn, the section that it belongs to, and the names in FRAMES of the frames that it takes."""

    draw: Callable[..., Drawing]
    section: Section
    frames: tuple[str, ...] = ("summary",)
    of_many_runs: bool = False
    """Whether one figure is drawn of all runs together; else one a run."""
    over_baseline: bool = False
    """Whether `draw` takes a `baseline`."""


PLOTS: dict[str, Plot] = {
    "quality": Plot(quality, "whole-models", ("scores", "rates"), of_many_runs=True),
    "plan": Plot(plan, "whole-models", ("scores",)),
    "sensitivity": Plot(sensitivity, "whole-models", ("scores",)),
    "training": Plot(training, "whole-models", ("scores",)),
    "latency-against-error": Plot(tradeoff.tradeoff, "trade-off"),
    "speed-up": Plot(speed.speedup, "speed", ("summary", "ceilings"), over_baseline=True),
    "speed-over-shapes": Plot(landscape.landscape, "speed", over_baseline=True),
    "latency-over-tokens": Plot(scaling.over_tokens, "speed"),
    "speed-over-threads": Plot(scaling.over_threads, "speed"),
    "roofline": Plot(roofline.roofline, "roofline", ("summary", "ceilings"), over_baseline=True),
    "sqnr-against-bits": Plot(accuracy.sqnr_against_bits, "accuracy"),
    "error-against-groups": Plot(accuracy.error_against_groups, "accuracy"),
    "agreement": Plot(accuracy.agreement, "accuracy"),
    "error-shape": Plot(error_shape.error_shape, "accuracy", ("error_histograms",)),
    "worst-channels": Plot(accuracy.worst_channels, "accuracy"),
    "memory": Plot(memory.memory, "memory"),
    "timings": Plot(noise.timings, "noise", ("latencies",)),
    "timings-in-order": Plot(noise.timings_in_order, "noise", ("latencies",)),
    "precision": Plot(noise.precision, "noise"),
    "history": Plot(history.history, "history", of_many_runs=True),
}


def draw(name: str, runs: Source | Sequence[Source] = ()) -> Drawing:
    """The figure `name` of PLOTS with its frame, of stored runs or of paths to them; one run may stand by itself.

    Raises ValueError for another name and for what is no run, StoreError for what cannot be read, and
    NothingMeasuredError where the runs do not have what the figure needs.
    """
    if not isinstance(name, str) or name not in PLOTS:
        raise ValueError(f"unknown figure {name!r}; {choices(name, PLOTS)}")
    plot = PLOTS[name]
    views = frames.views_of(runs)
    return plot.draw(*(FRAMES[frame](*views) for frame in plot.frames))
