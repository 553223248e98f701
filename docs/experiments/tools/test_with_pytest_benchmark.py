"""pytest-benchmark at its defaults."""

from typing import Any

import pytest
from calls import CALLS, SIDES, build


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", CALLS)
def test_call(benchmark: Any, name: str, side: str) -> None:
    """One side of one call."""
    del side
    benchmark.extra_info["name"] = name
    benchmark(build(name))
