"""Series and their change points, on steps that are known."""

import math

import numpy as np
import pandas as pd
import pytest

from harness.analysis.history.change_points import steps
from harness.analysis.history.series import Series, series_of

pytest.importorskip("ruptures")


def noise(count: int, seed: int = 0, size: float = 0.02) -> np.ndarray:
    return size * np.random.default_rng(seed).standard_normal(count)


_CASE = ("quick/implementation=int8/m=1", "latency", "sampled", "s", "lower")


def frame_of(values: np.ndarray | list[float], **changes: object) -> pd.DataFrame:
    """A case over runs, one a day, committed in the order of the values."""
    days = pd.date_range("2026-01-01", periods=len(values), tz="UTC")
    columns: dict[str, object] = {
        "run": [f"r{index:03}" for index in range(len(values))],
        "started": days,
        "commit": [f"{index:07}abc" for index in range(len(values))],
        "committed": days,
        "dirty": False,
        **dict.fromkeys(("machine_kind", "machine"), "m"),
        **dict.fromkeys(("centre", "lo", "hi"), values),
        **dict(zip(("case", "metric", "kind", "unit", "better"), _CASE, strict=True)),
        "tolerance": math.nan,
        **changes,
    }
    return pd.DataFrame(columns)


def only(frame: pd.DataFrame) -> Series:
    (series,) = series_of(frame)
    return series


def test_a_step_has_its_commits_its_size_and_an_interval_that_holds_it() -> None:
    logs = noise(60) + np.where(np.arange(60) >= 40, math.log(1.1), 0)
    (change,) = only(frame_of(1e-3 * np.exp(logs))).changes
    assert abs(change.at - 40) <= 1
    assert change.lo < 1.1 < change.hi
    assert (change.is_worse, change.is_ratio) == (True, True)
    assert change.commits == f"{change.at - 1:07}..{change.at:07}"


def test_noise_alone_is_no_change_however_alike_neighbours_are() -> None:
    """By proposals alone the correlated series would have more than one change each."""
    alarms = 0
    for seed in range(20):
        series = noise(100, seed)
        for place in range(1, 100):
            series[place] = 0.7 * series[place - 1] + math.sqrt(1 - 0.49) * series[place]
        alarms += len(steps(series)) + len(steps(noise(100, 100 + seed)))
    assert alarms <= 4


def test_intervals_of_sizes_hold_the_truth() -> None:
    missed = 0
    for seed in range(40):
        found = steps(noise(80, seed) + np.where(np.arange(80) >= 50, 0.1, 0))
        missed += not any(step.lo < 0.1 < step.hi for step in found)
    assert missed <= 6, "an interval of 95 % misses 2 of 40; that of a place that was chosen a few more"


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0, 3.0], [1.0] * 50])
def test_too_few_or_equal_values_have_no_change(values: list[float]) -> None:
    assert steps(values) == []


def test_a_level_without_noise_changes_all_the_same() -> None:
    (step,) = steps([1.0] * 10 + [2.0] * 10)
    assert (step.at, step.size, step.lo, step.hi) == (10, 1.0, 1.0, 1.0)


def test_runs_stand_where_their_commits_do() -> None:
    """A run of an old commit that was made today is an old point; where no commit is known, a run's own time counts."""
    frame = frame_of([1.0, 2.0, 3.0, 4.0])
    frame.loc[0, "started"] = pd.Timestamp("2027-01-01", tz="UTC")
    frame.loc[2, ["commit", "committed"]] = None, pd.NaT
    frame.loc[3, "dirty"] = True
    series = only(frame.sample(frac=1, random_state=1))
    assert list(series.centre) == [1.0, 2.0, 3.0, 4.0]
    assert list(series.names) == ["0000000", "0000001", "2026-01-03T00:00", "0000003-dirty"]


def test_exact_metrics_change_beyond_their_tolerance_and_machines_are_apart() -> None:
    values = [40.0, 43.0, 20.0, math.nan, math.inf, math.inf]
    words = {"metric": "error_sqnr", "kind": "exact", "unit": "dB", "better": "higher", "tolerance": 6.0}
    frame = pd.concat([frame_of(values, **words), frame_of([5.0], **words | {"machine_kind": "n"})])
    one, other = series_of(frame)
    assert [(change.at, change.size, change.is_worse) for change in one.changes] == [
        (2, -23.0, True),
        (4, math.inf, False),
    ]
    assert (other.machine_kind, other.changes) == ("n", ())


def test_values_that_are_no_numbers_are_passed_over() -> None:
    values = 1e-3 * np.exp(noise(40) + np.where(np.arange(40) >= 20, 0.2, 0))
    values[[5, 19]] = math.nan, 0.0
    (change,) = only(frame_of(values)).changes
    assert change.commits == "0000018..0000020"
