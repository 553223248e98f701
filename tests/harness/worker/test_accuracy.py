"""Metrics of the distance between tensors, on values that can be worked out by hand."""

import math
from itertools import pairwise
from statistics import NormalDist

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.model.metrics import ERROR_BINS, ERROR_EDGES
from harness.worker import accuracy


def test_by_hand() -> None:
    r, y = torch.tensor([[3.0, 4.0]]), torch.tensor([[3.0, 4.5]])
    assert accuracy.sqnr(r, y) == pytest.approx(20.0)
    assert accuracy.relative_error(r, y) == pytest.approx(0.1)
    assert accuracy.mean_square_error(r, y) == pytest.approx(0.125)
    assert accuracy.max_abs_error(r, y) == 0.5
    assert accuracy.cosine(r, y) == pytest.approx((9 + 18) / (5 * math.hypot(3, 4.5)))


def test_equal_is_infinite_and_no_signal_is_nan() -> None:
    r = torch.tensor([1.0, 2.0])
    assert accuracy.sqnr(r, r) == math.inf
    assert math.isnan(accuracy.sqnr(torch.zeros(2), r))
    assert math.isnan(accuracy.sqnr(r, torch.tensor([1.0, math.nan])))
    assert math.isnan(accuracy.relative_error(torch.zeros(2), r))
    assert accuracy.max_abs_error(torch.zeros(0), torch.zeros(0)) == 0.0


def test_the_worst_channel_is_a_column_and_not_a_token() -> None:
    r = torch.ones(4, 3)
    y = r.clone()
    y[:, 1] += 0.1
    y[:, 2] += 0.01
    assert accuracy.worst_channel_sqnr(r, y) == pytest.approx(20.0, abs=1e-4)


@given(st.floats(1e-3, 1e3))
def test_sqnr_does_not_depend_on_scale_and_loses_6_db_when_the_error_doubles(scale: float) -> None:
    generator = torch.Generator().manual_seed(0)
    r, e = torch.randn(2, 100, generator=generator, dtype=torch.float64)
    base = accuracy.sqnr(r, r + 0.01 * e)
    assert accuracy.sqnr(scale * r, scale * (r + 0.01 * e)) == pytest.approx(base)
    assert accuracy.sqnr(r, r + 0.02 * e) == pytest.approx(base - 20 * math.log10(2))


def test_the_histogram_of_a_normal_error_is_the_normal_density_at_any_scale() -> None:
    generator = torch.Generator().manual_seed(0)
    r, e = torch.randn(2, 400, 500, generator=generator, dtype=torch.float64)
    shares = accuracy.histogram(r, r + 1e-3 * e)
    normal = NormalDist()
    expected = [normal.cdf(hi) - normal.cdf(lo) for lo, hi in pairwise(ERROR_EDGES)]
    assert len(shares) == ERROR_BINS
    assert sum(shares) == pytest.approx(1, abs=ERROR_BINS * 1e-6)
    assert shares == pytest.approx(expected, abs=3e-3)
    assert accuracy.histogram(r, r + e) == pytest.approx(shares, abs=1e-4)


def test_the_outermost_bins_take_what_lies_beyond_and_equal_tensors_have_no_histogram() -> None:
    r = torch.zeros(100)
    y = r.clone()
    y[0], y[1] = 7.0, -1.0
    shares = accuracy.histogram(r, y)
    assert (shares[-1], shares[ERROR_BINS // 2], shares[0]) == (0.01, 0.98, 0.0)
    assert accuracy.histogram(r, r) == ()
    assert accuracy.histogram(r, r + math.nan) == ()


def test_only_what_is_wanted_is_computed() -> None:
    wanted = frozenset({"error_sqnr", "agreement_mse", "latency"})
    assert set(accuracy.distance("error", torch.ones(1, 2), torch.ones(1, 2), wanted)) == {"error_sqnr"}
