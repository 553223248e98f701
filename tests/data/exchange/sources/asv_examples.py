"""Benchmarks of asv whose results are hard to read: points that fail or are skipped, texts that look like numbers."""

import math


class Sized:
    params = (["a", "b c", "1"], [1, None, math.inf])
    param_names = ("kind", "size")

    def setup(self, kind, size):
        if kind == "b c" and size == 1:
            raise NotImplementedError
        if kind == "a" and size is None:
            raise ValueError("no such point")

    def time_sum(self, kind, size):
        sum(range(1000))

    def track_length(self, kind, size):
        return math.inf if size == 1 else 3

    track_length.unit = "objects"

    def peakmem_list(self, kind, size):
        return [0] * 100_000


def time_plain():
    sum(range(100))


def track_nothing():
    return math.nan


def time_fails():
    raise ValueError("always")
