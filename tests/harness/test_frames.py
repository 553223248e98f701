"""Frames: tidy, typed, and the same numbers as the rest of the harness."""

import math

import msgspec
import numpy as np
import pandas as pd
import pytest

from harness import frames, store
from harness.analysis.pairs import speedups
from harness.analysis.results import results
from harness.errors import UsageError
from harness.model import Ceilings, Measurement
from harness.model.metrics import METRICS
from tests.harness.data.factories import (
    make_case,
    make_environment,
    make_error_records,
    make_record,
    make_records,
    make_run,
    write_run,
)

MACHINE = "Example CPU 1000; 2 of 2 cores; governor performance; Linux 6.1 x86_64; Python 3.11.9; torch 2.13.0+cpu; mkl"
LATENCY = METRICS["latency"]


def test_load_has_the_documented_columns_and_a_row_per_case_metric_and_round(tmp_path):
    records = make_records(rounds=2)
    frame = frames.load(write_run(tmp_path / "run", records=records))

    documented = (
        "run suite case implementation role m k n scheme weight_bits activation_bits groups dtype device threads "
        "metric unit value round outcome reason machine"
    )
    assert list(frame.columns[: len(frames.COLUMNS)]) == documented.split()
    measured = frame[frame["outcome"] == "measured"]
    assert len(measured) == sum(len(record.measurements) for record in records)
    assert not measured.duplicated(["case", "metric", "round"]).any()
    assert set(measured["unit"]) <= {metric.unit for metric in METRICS.values()}


def test_what_was_not_measured_is_a_row_with_its_reason_and_no_value(tmp_path):
    frame = frames.load(write_run(tmp_path / "run"))

    skipped = frame[frame["outcome"] == "skipped"]
    assert set(skipped["implementation"]) == {"fp16"}
    assert skipped["value"].isna().all()
    assert skipped["metric"].isna().all()
    assert skipped["reason"].str.contains("float16").all()
    assert (frame[frame["outcome"] == "measured"]["reason"] == "").all()


def test_whole_numbers_stay_whole_and_a_missing_param_is_na(tmp_path):
    error = write_run(tmp_path / "error", make_run(("error",), run_id="error"), make_error_records())
    frame = frames.load(error, write_run(tmp_path / "quick"))

    for name in ("m", "k", "n", "activation_bits", "groups", "threads", "round"):
        assert frame[name].dtype == "Int64"
    assert frame["weight_bits"].dtype == "float64"
    assert frame[frame["run"] == "error"]["threads"].isna().all()
    assert set(frame["distribution"].dropna()) == {"gaussian", "outlier"}
    assert set(frame["run"]) == {"error", make_run().id}


def test_infinite_and_missing_numbers_survive(tmp_path):
    values = {"error_sqnr": math.inf, "error_cosine": math.nan}
    path = write_run(tmp_path / "run", records=[make_record(values=values)])

    value = frames.load(path).set_index("metric")["value"]
    assert value["error_sqnr"] == math.inf
    assert math.isnan(value["error_cosine"])
    assert frames.summary(path).set_index("metric")["centre"]["error_sqnr"] == math.inf


def test_samples_are_the_raw_values_in_the_order_taken(tmp_path):
    records = make_records(rounds=2, samples=5, troubles=False)
    frame = frames.samples(write_run(tmp_path / "run", records=records), metric="latency")

    for record in records:
        mine = frame[(frame["case"] == record.case.name) & (frame["round"] == record.round)].sort_values("sample")
        assert tuple(mine["value"]) == record.values("latency")
    assert set(frame["metric"]) == {"latency"}


def test_a_distribution_is_drawn_from_its_raw_values_and_has_no_centre(tmp_path):
    shares = [1 / 32] * 32
    path = write_run(tmp_path / "run", records=[make_record(values={"error_sqnr": 8.0, "error_histogram": shares})])

    assert list(frames.samples(path, metric="error_histogram")["value"]) == shares
    assert set(frames.summary(path)["metric"]) == set(frames.load(path)["metric"]) == {"error_sqnr"}


def test_samples_know_their_block_and_whether_it_was_voided(tmp_path):
    timed = Measurement("latency", (1.0, 2.0, 3.0, 4.0), 1, (0, 0, 1, 1))
    record = msgspec.structs.replace(make_record(values={"latency": 1.0}), measurements=(timed,), voided=(1,))
    frame = frames.samples(write_run(tmp_path / "run", records=[record]))

    assert list(frame["block"]) == [0, 0, 1, 1]
    assert list(frame["voided"]) == [False, False, True, True]


def test_ceilings_are_rows_and_what_was_not_measured_is_none(tmp_path):
    ceilings = (Ceilings(threads=2, memory_bandwidth=3e10, int8=8e11),)
    run = msgspec.structs.replace(make_run(), ceilings=ceilings)
    frame = frames.ceilings(write_run(tmp_path / "run", run, []), write_run(tmp_path / "none", make_run(run_id="none")))

    place = {"run": run.id, "device": "cpu", "threads": 2, "machine": MACHINE}
    assert frame.to_dict("records") == [
        {**place, "kind": "memory", "value": 3e10, "unit": "B/s"},
        {**place, "kind": "int8", "value": 8e11, "unit": "1/s"},
    ]


def test_every_frame_says_on_which_machine(tmp_path):
    faster = make_run(run_id="faster", environment=make_environment(cpu_model="Example CPU 2000", load_average=9.0))
    runs = (write_run(tmp_path / "one"), write_run(tmp_path / "other", faster))
    for frame in (frames.load(*runs), frames.samples(*runs), frames.summary(*runs), frames.wide(frames.summary(*runs))):
        by_run = frame.groupby("run")["machine"].unique().map(list).to_dict()
        assert by_run == {make_run().id: [MACHINE], "faster": [MACHINE.replace("1000", "2000")]}


def test_a_summary_begins_with_whose_number_it_is_and_the_number(tmp_path):
    path = write_run(tmp_path / "run")
    shown = frames.summary(path)._repr_html_()
    for name in ("implementation", "title", "metric", "centre", "lo", "hi", "unit"):
        assert f"<th>{name}</th>" in shown, "pandas hides all but the first and last ten columns"
    assert len(repr(frames.views_of([path]))) < 300
    assert len(repr(store.load(path))) < 100


def test_summary_says_what_stats_and_compare_say(tmp_path):
    records = make_records()
    frame = frames.summary(write_run(tmp_path / "run", records=records))
    everything = results(records)
    ratios = speedups(everything.values(), ("linear-fp32",))

    times = frame[frame["metric"] == "latency"].set_index("case")
    for name, result in everything.items():
        if LATENCY in result.metrics:
            summary = result.summary(LATENCY)
            expected = (summary.centre, summary.lo, summary.hi, summary.n)
            assert tuple(times.loc[name, ["centre", "lo", "hi", "rounds"]]) == pytest.approx(expected)
            ratio = ratios[name, "linear-fp32"]
            bounds = [f"speedup_linear-fp32{end}" for end in ("", "_lo", "_hi")]
            assert tuple(times.loc[name, bounds]) == pytest.approx((1 / ratio.ratio, 1 / ratio.hi, 1 / ratio.lo))
    assert frame[frame["metric"] != "latency"]["speedup_linear-fp32"].isna().all()


def test_one_round_has_no_interval_and_says_so(tmp_path):
    frame = frames.summary(write_run(tmp_path / "run", records=make_records(rounds=1)))

    times = frame[frame["metric"] == "latency"]
    assert times[["lo", "hi"]].isna().all(axis=None)
    assert times["warnings"].str.contains("--rounds").all()


def test_titles_name_shape_and_scheme_and_what_varies(tmp_path):
    cases = [make_case(threads=threads) for threads in (1, 2)]
    path = write_run(tmp_path / "run", records=[make_record(case, values={"latency": 1e-3}) for case in cases])

    assert list(frames.summary(path)["title"]) == [
        "2560 × 2560, M = 1, w1.58a8, threads 1",
        "2560 × 2560, M = 1, w1.58a8, threads 2",
    ]


def test_wide_has_a_row_per_case_and_a_column_per_metric(tmp_path):
    frame = frames.summary(write_run(tmp_path / "run"))
    wide = frames.wide(frame)

    assert len(wide) == frame["case"].nunique()
    times = frame[frame["metric"] == "latency"].set_index("case")["centre"]
    pd.testing.assert_series_equal(wide.set_index("case")["latency"].dropna(), times, check_names=False)
    assert np.isfinite(wide["weight_bytes"]).all()


def test_a_param_with_the_name_of_a_column_does_not_overwrite_it(tmp_path):
    record = make_record(make_case(metric="mine", value=7, threads="some"), values={"latency": 1e-3})
    frame = frames.load(write_run(tmp_path / "run", records=[record]))

    assert list(frame["metric"]) == ["latency"]
    assert list(frame["value"]) == [1e-3]
    assert list(frame["threads"]) == ["some"]


def test_an_empty_run_gives_an_empty_frame_with_all_columns(tmp_path):
    path = write_run(tmp_path / "run", records=[])

    assert list(frames.load(path).columns) == list(frames.COLUMNS)
    assert frames.summary(path).empty
    assert frames.samples(path).empty
    assert frames.wide(frames.summary(path)).empty


def test_the_same_run_twice_is_refused(tmp_path):
    path = write_run(tmp_path / "run")
    with pytest.raises(UsageError, match="given twice"):
        frames.load(path, path)


def every_frame(*runs):
    return {
        "load": frames.load(*runs),
        "samples": frames.samples(*runs),
        "summary": frames.summary(*runs),
        "ceilings": frames.ceilings(*runs),
        "wide": frames.wide(frames.summary(*runs)),
    }


def a_run(tmp_path, name, *records, **facts):
    return write_run(tmp_path / name, make_run(run_id=name), list(records) or [make_record(facts=facts)])


TEXT = pd.Series(["text"]).dtype


def assert_every_column_has_one_type(*runs):
    for name, frame in every_frame(*runs).items():
        for column in frame:
            dtype = frame[column].dtype
            assert dtype in ("Int64", "float64", "bool", TEXT), f"{name}: {column} is {dtype}"
            if dtype == TEXT:
                assert all(isinstance(value, str) for value in frame[column].dropna()), f"{name}: {column}"


def test_a_number_that_json_does_not_have_is_a_number(tmp_path):
    records = [
        make_record(make_case("eager", m=m), 0, {"error_sqnr": math.nan}, facts={"predicted_sqnr": predicted})
        for m, predicted in ((1, math.nan), (2, 8.25), (3, math.inf), (4, -math.inf))
    ]
    path = a_run(tmp_path, "run", *records)
    for name, frame in every_frame(path).items():
        if name != "ceilings":
            predicted = frame.drop_duplicates("m").set_index("m")["predicted_sqnr"]
            assert predicted.dtype == "float64"
            assert list(predicted[2:]) == [math.inf, -math.inf]
            assert predicted.isna().tolist() == [True, False, False, False]
            assert predicted[2] + 1 == 9.25
    for kind in (math.nan, math.inf):
        alone = a_run(tmp_path, f"alone{kind}", predicted_sqnr=kind, other=kind)
        assert {frames.load(alone)[name].dtype for name in ("predicted_sqnr", "other")} == {np.dtype("float64")}


def test_every_column_of_every_frame_has_one_type_whatever_is_missing(tmp_path):
    first = a_run(tmp_path, "first", operations=5, library="x", predicted_sqnr="nan", mixed=1)
    other = a_run(tmp_path, "other", operations=7, ratio=1, mixed="one", also=1)
    more = a_run(tmp_path, "more", ratio=0.5)
    quick = write_run(tmp_path / "quick")
    none = write_run(tmp_path / "none", make_run(run_id="none"), [])
    assert_every_column_has_one_type(first, other, more, quick, none)
    types = {}
    for one in (first, other, more, quick, none):
        assert_every_column_has_one_type(one)
        for name, frame in every_frame(one).items():
            for column in set(frame) & {*frames.COLUMNS, *frames.SUMMARY, *frames.RUN, "sample", "block", "voided"}:
                types.setdefault((name, column), set()).add(str(frame[column].dtype))
    assert {where: found for where, found in types.items() if len(found) > 1} == {}, "the same in every run"

    frame = frames.load(first, other, more)
    assert {name: str(frame[name].dtype) for name in ("operations", "also", "ratio")} == {
        "operations": "Int64",
        "also": "Int64",
        "ratio": "float64",
    }
    assert frame.drop_duplicates("run")["mixed"].tolist()[:2] == ["1", "one"]
    assert frame["mixed"].isna().sum() == (frame["run"] == "more").sum()


def test_every_stored_run_can_be_written_to_a_file_that_knows_types(tmp_path):
    pytest.importorskip("pyarrow", reason="needs the package pyarrow")
    for path in [write_run(tmp_path / "quick"), a_run(tmp_path, "run", predicted_sqnr=math.nan)]:
        for name, frame in every_frame(path).items():
            file = tmp_path / f"{path.name}-{name}.parquet"
            frame.to_parquet(file)
            pd.testing.assert_frame_equal(pd.read_parquet(file), frame)


def test_a_round_whose_blocks_are_all_voided_has_no_value(tmp_path):
    timed = Measurement("latency", (1.0, 2.0), 1, (0, 0))
    record = msgspec.structs.replace(make_record(values={"latency": 1.0}), measurements=(timed,), voided=(0,))
    assert frames.load(a_run(tmp_path, "run", record))["value"].isna().all()
