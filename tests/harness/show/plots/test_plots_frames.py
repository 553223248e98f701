"""The frame of every figure holds the numbers of the run, as `frames.summary` and `frames.samples` have them."""

import math
from itertools import pairwise
from statistics import NormalDist

import msgspec
import numpy as np
import pandas as pd
import pytest

from harness import frames
from harness.model import Ceilings, Measurement
from harness.model.metrics import ERROR_BINS, ERROR_EDGES, ERROR_WIDTH
from harness.show.plots import PLOTS, draw
from harness.show.plots.forest import Change, forest
from tests.harness.data.factories import make_case, make_error_records, make_record, make_records, make_run, write_run

NAMES = ("linear-fp32", "linear-bf16", "int8", "eager")
CEILINGS = Ceilings(device="cpu", threads=2, memory_bandwidth=3e10, int8=8e11)
SHAPES = ((2560, 2560), (6912, 2560))
HISTOGRAM = [NormalDist().cdf(hi) - NormalDist().cdf(lo) for lo, hi in pairwise(ERROR_EDGES)]


def measured_run(folder, day=0, **params):
    """Each shape with 1 and 128 tokens: whatever a figure of speed, memory or noise is drawn from."""
    records = make_records(
        implementations=NAMES, samples=4, troubles=False, slowdown={"int8": 1 + day / 2}, seed=day, **params
    )
    for place, record in enumerate(records):
        n, k, m = (int(record.case.params[key]) for key in "nkm")
        facts = record.facts | {
            "activation_bytes": 4 * m * (n + k),
            "ideal_bytes": n * k // 4,
            "output_bytes": 4 * m * n,
        }
        codes = Measurement("code_bytes", (n * k / 8.0,), 1)
        further = (codes,) if record.round == 0 else ()
        records[place] = msgspec.structs.replace(record, facts=facts, measurements=record.measurements + further)
    run = msgspec.structs.replace(
        make_run(run_id=f"day-{day}"), started=f"2026-01-0{day + 1}T00:00:00Z", ceilings=(CEILINGS,)
    )
    return write_run(folder, run, records)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return measured_run(tmp_path_factory.mktemp("frames") / "run")


@pytest.fixture(scope="module")
def error(tmp_path_factory):
    records = make_error_records(weight_bits=("w1.58", "w4"), activation_bits=(8, 16), groups=(1, 4), off=0.5)
    for place, record in enumerate(records):
        worst = Measurement("error_worst_channel_sqnr", (record.measurements[0].values[0] - 2.0,), 1)
        records[place] = msgspec.structs.replace(record, measurements=(*record.measurements, worst))
    return write_run(tmp_path_factory.mktemp("frames") / "error", make_run(("error",)), records)


def of(run, metric):
    """One row a case, contest by contest."""
    summary = frames.summary(run)
    return summary[summary["metric"] == metric]


def contests(table):
    return [part for _, part in table.groupby("title", sort=False)]


def assert_frame_is(drawing, headings, *parts):
    """The frame is these parts under each other, each a list of columns."""
    expected = pd.concat([pd.DataFrame(dict(zip(headings, part, strict=True))) for part in parts], ignore_index=True)
    pd.testing.assert_frame_equal(drawing.frame, expected, check_dtype=False)


def test_speed_up(run):
    parts = []
    for part in contests(of(run, "latency")):
        baseline, fewest = part[part["implementation"] == "linear-bf16"].iloc[0], part["ideal_bytes"].iloc[0]
        shown = part[part["implementation"] != "linear-bf16"].sort_values("speedup_linear-bf16", ascending=False)
        bars = shown[["implementation", *(f"speedup_linear-bf16{end}" for end in ("", "_lo", "_hi"))]].values.tolist()
        if baseline["m"] == 1:  # it waits for memory
            stored = of(run, "weight_bytes").set_index("case")["centre"][baseline["case"]]
            bars.append(["ideal (bytes)", (stored + baseline["activation_bytes"]) / fewest, math.nan, math.nan])
        parts.append([baseline["title"], *zip(*bars, strict=True)])
    assert_frame_is(
        draw("speed-up", run), ("panel", "implementation", "speed-up over linear-bf16", "from", "to"), *parts
    )


def test_speed_over_shapes(run):
    times = of(run, "latency")
    int8 = times[times["implementation"] == "int8"]
    headings = ("panel", "output features", "input features", "speed-up of int8 over linear-bf16", "from", "to")
    ends = [f"speedup_linear-bf16{end}" for end in ("", "_lo", "_hi")]
    parts = [
        [f"M = {m}, w1.58a8", part["n"], part["k"], *(part[end] for end in ends)]
        for m, part in ((m, int8[int8["m"] == m].sort_values("n")) for m in (1, 128))
    ]
    assert_frame_is(draw("speed-over-shapes", run), headings, *parts)


def test_latency_over_tokens(run):
    times = of(run, "latency")
    headings = ("panel", "implementation", "tokens", "latency (s)", "from (s)", "to (s)")
    parts = [
        [f"{n} × {k}, w1.58a8", name, part["m"], part["centre"], part["lo"], part["hi"]]
        for n, k in SHAPES
        for name in NAMES
        for part in [times[(times["n"] == n) & (times["implementation"] == name)].sort_values("m")]
    ]
    assert_frame_is(draw("latency-over-tokens", run), headings, *parts)


def test_speed_over_threads(tmp_path):
    records = [
        make_record(make_case(name, threads=threads), turn, {"latency": seconds * (1 + turn / 50) / threads**power})
        for name, seconds, power in (("int8", 1e-3, 0.9), ("eager", 4e-3, 0.5))
        for threads in (1, 2, 4)
        for turn in range(3)
    ]
    run = write_run(tmp_path, records=records)
    times = of(run, "latency").sort_values("threads")
    headings = ("panel", "implementation", "threads", "speed-up over the fewest threads", "from", "to", "ideal")
    parts = []
    for name in ("int8", "eager"):
        part = times[times["implementation"] == name]
        gain = part["centre"].iloc[0] / part["centre"]
        half = np.log(part["hi"] / part["centre"])
        width = np.exp(np.hypot(half, half.iloc[0]).where(part["threads"] > 1, 0.0))
        parts.append(["2560 × 2560, M = 1, w1.58a8", name, [1, 2, 4], gain, gain / width, gain * width, [1, 2, 4]])
    assert_frame_is(draw("speed-over-threads", run), headings, *parts)


def test_roofline(run):
    headings = (
        "panel", "implementation", "arithmetic intensity (FLOP/B)", "speed (GFLOP/s)", "from (GFLOP/s)",
        "to (GFLOP/s)", "reads (GB/s)",
    )  # fmt: skip
    parts = []
    for part in contests(of(run, "latency")):
        title, name, none = part["title"].iloc[0], part["implementation"], math.nan
        operations = part["operations"].astype(float)
        speeds = (operations / part[time] / 1e9 for time in ("centre", "hi", "lo"))
        parts.append([title, name, part["intensity"], *speeds, part["bandwidth"] / 1e9])
        ceilings = ["memory ceiling", "int8 ceiling"]
        parts.append([title, ceilings, none, [none, 800.0], none, none, [30.0, none]])
    assert_frame_is(draw("roofline", run), headings, *parts)


def test_latency_against_error(tmp_path):
    run = measured_run(tmp_path, shapes=SHAPES[:1], tokens=(1,), schemes=("w1.58a8", "w4a8"))
    cases = frames.wide(frames.summary(run), "latency", "error_sqnr", "weight_bytes").sort_values("latency")
    headings = (
        "panel", "implementation", "scheme", "latency (s)", "from (s)", "to (s)", "SQNR (dB)", "stored weights (B)",
        "standing",
    )  # fmt: skip
    drawing = draw("latency-against-error", run)
    numbers = (cases[name] for name in ("latency", "latency_lo", "latency_hi", "error_sqnr", "weight_bytes"))
    standing = drawing.frame["standing"].tolist()
    assert_frame_is(
        drawing, headings, ["2560 × 2560, M = 1", cases["implementation"], cases["scheme"], *numbers, standing]
    )
    assert drawing.frame["SQNR (dB)"].isna().tolist() == [name.startswith("linear") for name in cases["implementation"]]
    front = drawing.frame[drawing.frame["standing"] == "front"]
    assert front["implementation"].iloc[0] == "int8", "the fastest is beaten by none"
    assert set(drawing.frame[drawing.frame["implementation"] == "eager"]["standing"]) == {"dominated"}


def test_sqnr_against_bits(error):
    cases = of(error, "error_sqnr")
    headings = (
        "distribution", "activation bits", "weight bits", "SQNR (dB)", "predicted SQNR (dB)", "more than 0.3 dB off",
        "at 6.02 dB per bit (dB)",
    )  # fmt: skip
    parts = []
    for name in ("gaussian", "outlier"):
        part = cases[(cases["distribution"] == name) & (cases["groups"] == 1)]
        part = part.sort_values(["activation_bits", "weight_bits"])
        anchor = part["centre"].iloc[-1]  # 4 bits, the widest activations
        line = anchor + 6.02 * (part["weight_bits"] - 4)
        numbers = (part[column] for column in ("activation_bits", "weight_bits", "centre", "predicted_sqnr"))
        parts.append([name, *numbers, name == "outlier", line])
    assert_frame_is(draw("sqnr-against-bits", error), headings, *parts)


def test_error_against_groups(error):
    cases = of(error, "error_sqnr").sort_values(["distribution", "weight_bits", "activation_bits", "groups"])
    columns = [cases[name] for name in ("distribution", "weight_bits", "activation_bits", "groups", "centre")]
    headings = ("distribution", "weight bits", "activation bits", "groups", "SQNR (dB)")
    assert_frame_is(draw("error-against-groups", error), headings, columns)


def test_worst_channels(error):
    cases = frames.wide(frames.summary(error), "error_sqnr", "error_worst_channel_sqnr")
    cases = cases[cases["groups"] == 1].sort_values(["distribution", "weight_bits", "activation_bits"])
    headings = ("distribution", "scheme", "SQNR of all outputs (dB)", "SQNR of the worst channel (dB)")
    columns = [cases[name] for name in ("distribution", "scheme", "error_sqnr", "error_worst_channel_sqnr")]
    assert_frame_is(draw("worst-channels", error), headings, columns)


def test_agreement(tmp_path):
    values = {"exact": math.inf, "near": 140.0, "far": 50.0}
    records = [
        make_record(make_case(name, m=m), values={"agreement_sqnr": value + m})
        for m in (1, 8)
        for name, value in values.items()
    ]
    titles = ["2560 × 2560, M = 1, w1.58a8", "2560 × 2560, M = 8, w1.58a8"]
    parts = [[name, titles, [values[name] + m for m in (1, 8)]] for name in ("far", "near", "exact")]
    drawing = draw("agreement", write_run(tmp_path, records=records))
    assert_frame_is(drawing, ("implementation", "contest", "agreement SQNR (dB)"), *parts)


def test_error_shape(tmp_path):
    facts = {"weight_bits": 1.58, "activation_bits": 8, "groups": 1}
    shares = [0.5, *HISTOGRAM[1:]]
    case = make_case("reference", suite="error", distribution="gaussian")
    run = write_run(tmp_path, records=[make_record(case, values={"error_histogram": shares}, facts=facts)])
    headings = (
        "distribution", "scheme", "error over its root mean square, from", "to", "density", "normal density",
    )  # fmt: skip
    normal = [NormalDist().pdf(lo + ERROR_WIDTH / 2) for lo in ERROR_EDGES[:-1]]
    columns = ["gaussian", "w1.58a8", ERROR_EDGES[:-1], ERROR_EDGES[1:], np.array(shares) / ERROR_WIDTH, normal]
    assert len(shares) == ERROR_BINS
    assert_frame_is(draw("error-shape", run), headings, columns)


def test_memory(run):
    cases = frames.wide(frames.summary(run), "weight_bytes", "code_bytes", "resident_bytes", "peak_forward_bytes")
    headings = (
        "panel", "implementation", "codes (B)", "scales and tables (B)", "stored weights (B)", "kept besides (B)",
        "output of a call (B)", "workspace of a call (B)", "output and workspace (B)", "bits per weight",
        "the scheme's bits alone (B)",
    )  # fmt: skip
    parts = []
    for part in contests(cases.sort_values("weight_bytes", kind="stable")):
        stored, codes, peak, output = (
            part[name].astype(float) for name in ("weight_bytes", "code_bytes", "peak_forward_bytes", "output_bytes")
        )
        bits = 8 * stored / (part["n"] * part["k"]).astype(float)
        ideal, rest = (part["ideal_bytes"] - part["activation_bytes"]).astype(float), peak - output
        kept = part["resident_bytes"] - stored
        names = part["title"], part["implementation"]
        parts.append([*names, codes, stored - codes, math.nan, kept, output, rest, math.nan, bits, ideal])
    order = list(of(run, "weight_bytes")["title"].unique())
    parts.sort(key=lambda part: order.index(part[0].iloc[0]))
    assert_frame_is(draw("memory", run), headings, *parts)


def raw(run):
    """Contest by contest and name by name: the samples in the order taken, and their distance from their median."""
    samples = frames.samples(run, metric="latency")
    for (title, name), part in samples.groupby(["title", "implementation"], sort=False):
        yield title, name, part, 100 * (part["value"] / part["value"].median() - 1)


def test_timings(run):
    share = np.linspace(0, 1, 41)
    headings = ("panel", "implementation", "share of samples", "time of one call off the median (%)")
    parts = [[title, name, share, np.quantile(percent, share)] for title, name, _, percent in raw(run)]
    assert_frame_is(draw("timings", run), headings, *parts)


def test_timings_in_order(run):
    headings = ("panel", "implementation", "round", "off the median (%)", "mark")
    drawing = draw("timings-in-order", run)
    marks = np.split(drawing.frame["mark"].to_numpy(), len(drawing.frame) // 12)
    found = list(raw(run))
    parts = [
        [title, name, part["round"] + 1, percent, mark]
        for (title, name, part, percent), mark in zip(found, marks, strict=True)
    ]
    assert_frame_is(drawing, headings, *parts)
    assert set(drawing.frame["mark"]) <= {"sample", "beyond the lane"}
    assert (drawing.frame["mark"] == "sample").mean() >= 0.9


def test_precision(run):
    headings = ("panel", "implementation", "half width of the interval (%)", "ended", "rounds", "samples")
    parts = [
        [part["title"], part["implementation"], 100 * np.expm1(part["precision"]), "fixed", 3, 12]
        for part in (part.sort_values("precision") for part in contests(of(run, "latency")))
    ]
    assert_frame_is(draw("precision", run), headings, *parts)


def test_history(tmp_path):
    runs = [measured_run(tmp_path / str(day), day, tokens=(1,)) for day in range(3)]
    times = frames.summary(*runs)
    times = times[times["metric"] == "latency"]
    parts = [part for _, part in times.groupby("case", sort=False)]
    parts.sort(key=lambda part: -part["centre"].max() / part["centre"].min())
    headings = ("implementation", "contest", "run", "started", "latency (s)", "from (s)", "to (s)")
    columns = ("implementation", "title", "run", "started", "centre", "lo", "hi")
    drawing = draw("history", runs[::-1])
    assert_frame_is(drawing, headings, *([part[name] for name in columns] for part in parts))
    assert drawing.frame["run"].tolist()[:3] == ["day-0", "day-1", "day-2"]


def test_changes():
    cases = [Change("slow", "regressed", 1.2, 1.1, 1.3, 0.03), Change("bytes", "ok", 1.0, math.nan, math.nan, 0.0)]
    drawing = forest(cases, [Change("same", "ok", 1.0, 0.99, 1.01, 0.03)], Change("mean", "ok", 1.1, 1.0, 1.2, 0.02))
    headings = ("case", "verdict", "change, head over base (%)", "from (%)", "to (%)", "margin (%)")
    none = math.nan
    columns = (
        ["slow", "bytes", "same", "mean"], ["regressed", "ok", "ok", "ok"],
        [20.0, 0.0, 0.0, 10.0], [10.0, none, -1.0, 0.0], [30.0, none, 1.0, 20.0], [3.0, 0.0, 3.0, 2.0],
    )  # fmt: skip
    assert_frame_is(drawing, headings, columns)


def test_no_figure_is_forgotten():
    """Those of whole models have a file of their own, `test_plots_whole_models.py`."""
    names = [name for name, plot in PLOTS.items() if plot.section != "whole-models"]
    assert {f"test_{name.replace('-', '_')}" for name in names} <= set(globals())


def test_several_runs_have_a_column_of_their_own(tmp_path):
    runs = [measured_run(tmp_path / str(day), day, tokens=(1,)) for day in range(2)]
    frame = draw("speed-up", runs).frame
    assert frame.columns[0] == "run"
    assert frame["run"].unique().tolist() == ["day-0", "day-1"]
    ratios = frames.summary(runs[1]).set_index(["title", "implementation", "metric"])["speedup_linear-bf16"]
    second = frame[(frame["run"] == "day-1") & (frame["implementation"] == "int8")]
    assert second["speed-up over linear-bf16"].tolist() == [
        ratios[title, "int8", "latency"] for title in second["panel"]
    ]
