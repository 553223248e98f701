"""What becomes of a point of the axes."""

import pytest

from harness.errors import UsageError
from suites import latency

HERE = {"shape": ("64x32",), "m": (1,), "device": ("cpu",), "threads": (1,)}


def test_graphs_are_named_only_where_they_are_asked_for() -> None:
    (plain,) = latency.SUITE.points(HERE)
    (captured,) = latency.SUITE.points({**HERE, "graph": (1,)})
    assert "graph" not in plain
    assert captured == {**plain, "graph": 1}


def test_a_graph_is_there_or_not() -> None:
    with pytest.raises(UsageError, match="axis graph: 2 is unknown; choose from: 0, 1"):
        latency.SUITE.points({**HERE, "graph": (2,)})
