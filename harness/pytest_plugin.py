"""The suites as pytest-benchmark tests: `pytest --pyargs suites --benchmark-only`, with all that its users know.

pytest-benchmark decides how often to call and what to print; the cases, the check against the contract before any
timing, and the names are the harness's. Runs in pytest's own process, one case after the other: for comparisons that
must hold on a noisy machine, use `bitbench run`.
"""

from collections.abc import Callable, Collection

import pytest

from harness.model import Case, Request
from harness.model.messages import Description
from harness.model.suite import Catalogue, Registry
from harness.model.workload import Workload, built
from harness.runner.plan import Contest, make_plan
from harness.user_code.reference import follow
from harness.worker.device.devices import DEVICES
from harness.worker.visit import collector_paused


def contests(module: str, suites: Collection[str]) -> list[Contest]:
    """The contests of the default axes of those of `suites` that measure latency."""
    registry = Registry.load(module)
    catalogue: Catalogue = follow(registry.catalogue)()
    devices = {name: device.why_not() or "" for name, device in DEVICES.items()}
    description = Description({}, dict(catalogue.summaries), {}, devices)
    timed = tuple(name for name in suites if "latency" in registry.suite(name).metric_names)
    return make_plan(Request(suites=timed), registry, description)


def parameters(found: list[Contest]) -> list[object]:
    """One pytest parameter a case. Its id is the case's name with ":" for "=", which `pytest -k` cannot search for."""
    return [pytest.param(contest, case, id=case.name.replace("=", ":")) for contest in found for case in contest.cases]


def run_case(benchmark: Callable[..., object], contest: Contest, case: Case) -> None:
    """Build, check and benchmark one case.

    The fixture's group is the contest, its params the values of the case, as in a stored run (pytest's own are objects
    of the harness, which have no JSON), its extra_info these and what is known of the case beforehand.
    """
    workload: Workload = follow(contest.suite.workload)(case, contest.seed)
    if sentence := workload.why_not():
        pytest.skip(sentence)
    benchmark.group = case.contest  # type: ignore[attr-defined]  # pytest-benchmark ships no types
    point = {"implementation": case.implementation, **case.params}
    benchmark.params = point  # type: ignore[attr-defined]  # likewise
    benchmark.extra_info.update({**point, **contest.facts})  # type: ignore[attr-defined]  # likewise
    device = DEVICES[str(case.params.get("device", "cpu"))]
    with workload.context():
        prepared = built(workload)
        if wrong := prepared.check(frozenset()).wrong:
            pytest.fail(wrong)

        def finished_call() -> None:
            prepared.timed()
            device.synchronise()

        with collector_paused():
            benchmark(prepared.timed if device.name == "cpu" else finished_call)
