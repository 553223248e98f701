"""Benchmarks whose names, params and ends are hard to read: run by pytest-benchmark for the tests of importers."""

import numpy as np
import pytest


class Opaque:
    """A param that has no text of its own."""


@pytest.mark.parametrize("value", [1.0, "1.0", "a/b=c [d] \"e\" 'f'"])
def test_names(benchmark, value):
    benchmark.pedantic(sum, (range(100),), rounds=4, iterations=10)


@pytest.mark.parametrize("thing", [Opaque(), np.int64(3), np.float64(2.5), (1, "x"), None, True])
def test_objects(benchmark, thing):
    benchmark.extra_info["nan"] = float("nan")
    benchmark.extra_info["inf"] = float("inf")
    benchmark.pedantic(sum, (range(100),), rounds=4, iterations=10)


class TestTwice:
    def test_plain(self, benchmark):
        benchmark.pedantic(sum, (range(1000),), rounds=5, iterations=20)


def test_plain(benchmark):
    benchmark.pedantic(sum, (range(1000),), rounds=1, iterations=1)


def test_fails_after_timing(benchmark):
    benchmark.pedantic(sum, (range(10),), rounds=3)
    raise AssertionError("its timings are in the file all the same")
