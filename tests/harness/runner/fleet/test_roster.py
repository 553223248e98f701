"""A scheduler that would do what only the fleet may do is refused, each with what to start instead."""

from collections.abc import Callable

import pytest

from harness.errors import UsageError
from harness.runner.fleet.roster import require_strict


class Scheduler:
    """As `dask_scheduler` is handed to a function that runs on it."""

    def __init__(self, allowed_failures: int, worker_ttl: float | None) -> None:
        self.allowed_failures = allowed_failures
        self.worker_ttl = worker_ttl


class Client:
    """Of a scheduler that may not have this program."""

    def __init__(self, scheduler: Scheduler | None) -> None:
        self._scheduler = scheduler

    def run_on_scheduler(self, function: Callable[..., object]) -> object:
        if self._scheduler is None:
            raise ModuleNotFoundError("No module named 'harness'")
        return function(dask_scheduler=self._scheduler)


@pytest.mark.parametrize(
    ("scheduler", "words"),
    [
        (Scheduler(0, 30.0), ""),
        (Scheduler(3, 30.0), "would begin a run again whose worker has died, 3 times"),
        (Scheduler(0, 300.0), "would notice late that a machine is gone"),
        (Scheduler(0, None), "would notice late that a machine is gone"),
        (None, "cannot import this bitbench (ModuleNotFoundError: No module named 'harness')"),
    ],
)
def test_who_may_begin_a_run_again_is_the_fleet_alone(scheduler: Scheduler | None, words: str) -> None:
    client = Client(scheduler)
    if not words:
        require_strict(client)
        return
    with pytest.raises(UsageError) as refused:
        require_strict(client)
    assert words in str(refused.value)
    assert str(refused.value).endswith("start it by `bitbench fleet scheduler`")
