from collections.abc import Iterator
from dataclasses import replace

import msgspec
import pytest
import torch

import suites


@pytest.fixture(autouse=True)
def _alone():
    # The tensors are tiny: threads would only wait for each other, on a busy machine for seconds.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def timed_for_a_moment() -> Iterator[None]:
    """For runs of which nobody reads how long a call takes."""
    moment = [replace(suite, budget=msgspec.structs.replace(suite.budget, seconds=0.02)) for suite in suites.SUITES]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(suites, "SUITES", tuple(moment))
        yield
