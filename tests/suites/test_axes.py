"""What becomes of a point of the axes."""

import pytest

from bitlinear import theory
from harness.errors import UsageError
from harness.model import normalise_value
from suites import axes, latency
from suites.special import conformance

HERE = {"shape": ("64x32",), "m": (1,), "device": ("cpu",), "threads": (1,)}


def test_graphs_are_named_only_where_they_are_asked_for() -> None:
    (plain,) = latency.SUITE.points(HERE)
    (captured,) = latency.SUITE.points({**HERE, "graph": (1,)})
    assert "graph" not in plain
    assert captured == {**plain, "graph": 1}


@pytest.mark.parametrize("axis", [axis.name for axis in latency.SUITE.axes])
@pytest.mark.parametrize(
    "text", ["", "9" * 20, "-1", "nan", "inf", "1.5", "٣", "1_0", "64 x 64", "\N{SUPERSCRIPT TWO}"]
)
def test_every_axis_has_its_limits_and_says_them(axis: str, text: str) -> None:
    with pytest.raises(UsageError, match=r"whole number from|shape; write|not a scheme|choose from|divisor"):
        latency.SUITE.points({**HERE, axis: (normalise_value(text),)})


@pytest.mark.parametrize("scheme", ["w١a8", "w1.58a8g" + "9" * 20, "w1a8g-1", "W1A8"])
def test_schemes_are_written_in_ascii(scheme: str) -> None:
    with pytest.raises(UsageError, match=r"not a scheme|divisor"):
        latency.SUITE.points({**HERE, "scheme": (scheme,)})


def test_a_group_size_is_a_number_of_groups_in_the_name_of_a_case() -> None:
    by_size = latency.SUITE.points({**HERE, "shape": ("64x576", "64x1536"), "scheme": ("w4a8gs64",)})
    assert [point["scheme"] for point in by_size] == ["w4a8g9", "w4a8g24"]
    assert by_size[:1] == latency.SUITE.points({**HERE, "shape": ("64x576",), "scheme": ("w4a8g9",)})
    with pytest.raises(UsageError, match="in_features=32 is not divisible by a group size of 64"):
        latency.SUITE.points({**HERE, "scheme": ("w4a8gs64",)})
    with pytest.raises(UsageError, match="groups=4 and features_per_group=64; give one of them"):
        latency.SUITE.points({**HERE, "scheme": ("w4a8gs64",), "groups": (4,)})
    with pytest.raises(UsageError, match="layers of many widths are asked; give a number of groups"):
        conformance.SUITE.points({"scheme": ("w4a8gs64",)})


def test_sizes_end_where_bytes_can_no_longer_be_counted() -> None:
    (largest,) = latency.SUITE.points({**HERE, "shape": (f"{axes.LARGEST}x{axes.LARGEST}",), "m": (axes.LARGEST,)})
    assert max(map(int, (axes.facts(largest)["ideal_bytes"], axes.facts(largest)["activation_bytes"]))) < 2**63
    for shape in (f"{axes.LARGEST + 1}x1", f"1x{axes.LARGEST + 1}", "0x1", "1x", "x", "1x1x1"):
        with pytest.raises(UsageError, match="is not a shape"):
            latency.SUITE.points({**HERE, "shape": (shape,)})


def test_equal_numbers_name_one_case() -> None:
    (graph,) = latency.SUITE.points({**HERE, "graph": (1.0,)})
    assert str(graph["graph"]) == "1"


def test_a_graph_is_there_or_not() -> None:
    with pytest.raises(UsageError, match="axis graph: 2 is unknown; choose from: 0, 1"):
        latency.SUITE.points({**HERE, "graph": (2,)})


def test_the_distributions_to_choose_from_are_those_that_theory_knows() -> None:
    assert set(axes.DISTRIBUTIONS) == set(theory.DISTRIBUTIONS)
