"""The training workload: what a step built anew in the middle of a round must not confuse."""

from harness.model import Case
from suites.workloads.layer.training import Training


def test_a_step_built_anew_is_judged_by_the_sign_of_its_own_input() -> None:
    params = {"m": 4, "n": 16, "k": 32, "scheme": "w1.58a8", "dtype": "float32", "device": "cpu", "threads": 1}
    workload = Training(Case.of("training", "reference", params), 0)
    steps = [workload.build() for _ in range(3)]
    for step in steps:
        for _ in range(3):
            step.refresh()
            assert step.inspect(step()) == ""
    assert steps[0].inspect(steps[0]()) == ""
