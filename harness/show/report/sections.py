"""The page's sections of figures: what the reader learns in each, and what to run where there is nothing to draw."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from markupsafe import Markup

from harness.show.plots import PLOTS, Section
from harness.show.report.tables import Sheet


class Topic(NamedTuple):
    """The heading of a section, what it is for, and how to get what it draws: prose about a command."""

    title: str
    lesson: str
    command: str
    gives: str


TOPICS: dict[Section, Topic] = {
    "whole-models": Topic(
        "Whole models",
        "How much worse a model answers, what that saves in bytes and time, and which layers it comes from.",
        "bitbench run quality",
        "scores whole models by scheme",
    ),
    "trade-off": Topic(
        "Trade-off",
        "Which implementations deserve a closer look: what another beats in speed and in error needs none.",
        "bitbench run quick --axis scheme=w1.58a8,w2a8,w4a8",
        "measures schemes whose errors differ beside each other",
    ),
    "speed": Topic(
        "Speed",
        "How much faster than a plain linear layer each implementation is, and where that holds.",
        "bitbench run latency",
        "times the implementations beside their baselines",
    ),
    "roofline": Topic(
        "Roofline",
        "Each point shows how near a call comes to the most that this machine can read and compute.",
        "bitbench run latency",
        "measures the machine’s ceilings and then the calls",
    ),
    "accuracy": Topic(
        "Accuracy",
        "The error that each scheme brings, and whether each implementation computes what it promises.",
        "bitbench run error",
        "measures the error of every scheme",
    ),
    "memory": Topic(
        "Memory",
        "The bytes that each implementation takes, beside the fewest that the scheme needs.",
        "bitbench run memory",
        "counts the bytes that are stored, kept and allocated",
    ),
    "noise": Topic(
        "Noise",
        "The spread of the timings, and their course during the run: they tell how far to trust an interval.",
        "bitbench run latency",
        "keeps the raw timings",
    ),
    "history": Topic(
        "Changes and history",
        "The cases that became faster or slower from one run to the next.",
        "bitbench report RUN RUN",
        "compares two runs or more",
    ),
}


@dataclass(frozen=True)
class PageFigure:
    """A figure as the page shows it, or the reason why there is none. `run` is empty where it is of all runs."""

    name: str
    title: str
    caption: str
    svg: Markup
    missing: str = ""
    run: str = ""
    table: Sheet | None = None
    """What it shows; None where another table of the page says so."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Those that were asked for, by their suffix."""


@dataclass(frozen=True)
class Part:
    """A section of the page: its topic, the figures that could be drawn, and why others could not."""

    key: Section
    topic: Topic
    figures: Sequence[PageFigure]
    missing: Sequence[str]


def parts(figures: Iterable[PageFigure]) -> list[Part]:
    """Every section in the order of the page, also one without figures."""
    drawn = list(figures)
    found = []
    for key, topic in TOPICS.items():
        own = [figure for figure in drawn if figure.name in PLOTS and PLOTS[figure.name].section == key]
        missing = [f"{figure.name.replace('-', ' ')}: {figure.missing}" for figure in own if figure.missing]
        found.append(Part(key, topic, [one for one in own if not one.missing], list(dict.fromkeys(missing))))
    return found
