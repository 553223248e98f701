"""The strip below the answers: what to know before believing them, and the machine in one line."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from harness.analysis.view import View
from harness.model import Ceilings, Environment, differences
from harness.model.environment import labels_in_words
from harness.model.units import figure
from harness.show.results import warnings
from harness.show.typography import typeset


class SummaryChip(NamedTuple):
    """One thing known of the machine."""

    name: str
    value: str


def chips(view: View) -> list[SummaryChip]:
    """The machine in few words, without what is not known of it."""
    at = view.stored.run.environment
    everything = [
        SummaryChip("CPU", at.cpu_model),
        SummaryChip(
            "cores", f"{at.affinity or at.cores_logical} of {at.cores_logical}" if at.cores_logical else "unknown"
        ),
        SummaryChip("memory", typeset(at.memory_bytes, "B") if at.memory_bytes else "unknown"),
        SummaryChip("GPU", at.gpu),
        *(chip for one in view.stored.run.ceilings for chip in _ceilings(one)),
        SummaryChip("governor", at.governor),
        SummaryChip("load", "unknown" if view.stored.run.origin else f"{at.load_average:.2f}"),
        SummaryChip("system", at.operating_system),
        SummaryChip("Python", at.python),
        SummaryChip("torch", at.torch),
        SummaryChip("BLAS", at.blas),
        SummaryChip("labels", labels_in_words(at) or "none"),
        SummaryChip("machine", at.machine or "unknown"),
    ]
    return [chip for chip in everything if chip.value not in ("unknown", "none")]


def doubts(view: View) -> list[str]:
    """What to know before believing the run, each with its cure: first what concerns all of it."""
    run = view.stored.run
    texts = []
    if run.revision.dirty:
        texts.append("the checkout had uncommitted changes: commit them, so that the run can be repeated")
    at = run.environment
    if at.load_average > 0.75 * (at.affinity or at.cores_logical or math.inf):  # an installation just before is less
        texts.append(f"the load average was {at.load_average:.2f} at the start: stop other work and measure again")
    return texts + warnings(view)


def unlike(views: Sequence[View]) -> list[str]:
    """Why latencies of the first run may not be compared with those of the others."""
    first, *others = [view.stored.run.environment for view in views]
    return list(dict.fromkeys(text for other in others for text in differences(first, other)))


def environment_rows(environments: Sequence[Environment]) -> list[tuple[str, list[str]]]:
    """Each field of the environment with its value in every run."""
    return [
        (name.replace("_", " "), [_value(name, getattr(one, name)) for one in environments])
        for name in Environment.__struct_fields__
    ]


def _ceilings(one: Ceilings) -> list[SummaryChip]:
    """What the machine was seen to read at most."""
    if not one.memory_bandwidth:
        return []
    return [SummaryChip(f"{one.device}, {one.threads} threads", f"reads {figure(one.memory_bandwidth / 1e9, 3)} GB/s")]


def _value(name: str, value: object) -> str:
    if name == "memory_bytes" and isinstance(value, int):
        return typeset(value, "B")
    if isinstance(value, dict):
        value = tuple(f"{key}={item}" for key, item in value.items())
    return ", ".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)
