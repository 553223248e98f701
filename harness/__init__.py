"""bitlinear-bench from Python: measure suites, read stored runs, compare and gate them, draw and time.

    import harness

    run = harness.run("quick", implementations="native,linear-bf16", axes={"m": [1, 128]}, rounds=4)
    harness.show(run)                       # the table, in a notebook as HTML
    harness.draw("speed-up", run)           # a figure, and the frame that it shows
    harness.summary(run)                    # a pandas frame
    harness.gate("results/runs/before", run).exit_code

The names in `__all__` are meant for users, with `harness.frames`, `harness.measure` and `harness.errors`, whose
`BitbenchError` is the base of all that these functions raise about what they are given. All else is internal and may
change. Nothing here imports torch or pandas before it is needed.
"""

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.frames import samples, summary
    from harness.measure import interleave, interleave_builds
    from harness.model import Budget, Case, StoredRun
    from harness.model.metrics import Exact, Metric, Paired, Sampled
    from harness.model.suite import Axis, Catalogue, Suite
    from harness.model.workload import Check, Prepared, Workload
    from harness.public import compare, gate, load, run, show
    from harness.show.plots import draw

__all__ = [
    "HOME",
    "Axis",
    "Budget",
    "Case",
    "Catalogue",
    "Check",
    "Exact",
    "Metric",
    "Paired",
    "Prepared",
    "Sampled",
    "StoredRun",
    "Suite",
    "Workload",
    "compare",
    "draw",
    "gate",
    "interleave",
    "interleave_builds",
    "load",
    "run",
    "samples",
    "show",
    "summary",
]

HOME = Path(__file__).parent.parent
"""The folder that the packages lie in: a checkout, or where they were installed."""

_HOMES = {
    **dict.fromkeys(("samples", "summary"), "harness.frames"),
    **dict.fromkeys(("interleave", "interleave_builds"), "harness.measure"),
    **dict.fromkeys(("Budget", "Case", "StoredRun"), "harness.model"),
    **dict.fromkeys(("Exact", "Metric", "Paired", "Sampled"), "harness.model.metrics"),
    **dict.fromkeys(("Axis", "Catalogue", "Suite"), "harness.model.suite"),
    **dict.fromkeys(("Check", "Prepared", "Workload"), "harness.model.workload"),
    **dict.fromkeys(("compare", "gate", "load", "run", "show"), "harness.public"),
    "draw": "harness.show.plots",
}


def __getattr__(name: str) -> object:
    # As in `bitlinear`: importing any module of a package runs this file first, so names are fetched when they are
    # first asked for (PEP 562).
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has: {', '.join(__all__)}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Face(ModuleType):
    """The package itself. Importing `harness.gate` or `harness.show` would bind that in place of the function."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Face
