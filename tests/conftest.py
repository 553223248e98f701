"""Settings of the tools that the tests use."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

from harness.machine.git import bound
from harness.runner import nursery, pool
from tests.harness.fakes.forked_workers import FORKING

collect_ignore = ["data/exchange"]
"""Benchmarks of other tools, run where their files are made."""

os.environ.pop("COLUMNS", None)  # pytest-xdist sets it, and tables would be as wide as somebody's terminal

for name in bound():  # where the tests are a hook's, git would work in the user's repository and not in theirs
    os.environ.pop(name, None)

# A shell starts what it puts into the background with Ctrl-C ignored, and children would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A deadline in milliseconds fails on a busy machine, and tells nothing of the code.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")


@pytest.fixture(scope="session", autouse=True)
def _forked_workers() -> Iterator[None]:
    """Workers that tests start in this process need not import torch, each for itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            pool, "can_fork", lambda: False
        )  # no run of a test is so long that a template of its own is worth it
        if sys.platform == "linux":
            patch.setattr(nursery, "subprocess", FORKING)
        yield


@pytest.fixture
def started_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers begin as they do for users: for tests that promise something of that."""
    monkeypatch.setattr(nursery, "subprocess", subprocess)
