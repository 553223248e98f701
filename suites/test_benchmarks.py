"""Every case of the default axes as a pytest-benchmark test: `pytest --pyargs suites --benchmark-only`."""

import pytest

from harness.model import Case
from harness.pytest_plugin import contests, parameters, run_case
from harness.runner.plan import Contest

LAYER_SUITES = ("quick", "latency", "training", "scaling")


@pytest.mark.parametrize(("contest", "case"), parameters(contests("suites", LAYER_SUITES)))
def test_latency(benchmark: object, contest: Contest, case: Case) -> None:
    run_case(benchmark, contest, case)  # type: ignore[arg-type]  # pytest-benchmark ships no types
