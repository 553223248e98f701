"""How near a call comes to what the machine can do, and when it cannot have done its work."""

import csv
import io
import math
from pathlib import Path

import msgspec
import pytest

from harness import cli, frames
from harness.analysis.roofline import Standing, Work, too_fast
from harness.machine import ceilings
from harness.model import Ceilings
from harness.model.ceilings import from_answer, matching, merge
from harness.show import report
from tests.harness.data.factories import make_case, make_environment, make_record, make_run, write_run

MIB = 2**20
HERE = Ceilings(
    threads=2,
    core_cache_bytes=2 * MIB,
    core_cache_bandwidth=400e9,
    cache_bytes=32 * MIB,
    cache_bandwidth=200e9,
    memory_bandwidth=40e9,
    float32=200e9,
    int8=800e9,
)


def work(mebibytes: float, operations: float = 0.0, working_set: float = 0.0) -> Work:
    return Work(operations, mebibytes * MIB, (working_set or mebibytes) * MIB)


def least(some: Work) -> float:
    """Seconds that the machine takes at least: the latency at which the share is 1."""
    return Standing.of(some, 1.0, HERE).share


def test_a_layer_stands_where_its_bytes_and_operations_put_it() -> None:
    facts = {"operations": 2 * 2560 * 2560, "activation_bytes": 4 * (2560 + 2560)}
    decode = Work.of(facts, 4 * 2560 * 2560)
    assert decode == Work(13_107_200, 26_214_400 + 20_480, 26_214_400 + 20_480)
    found = Standing.of(decode, 1e-3, HERE)
    assert found.bandwidth == pytest.approx(26.23488e9)
    assert found.throughput == pytest.approx(13.1072e9)
    assert found.intensity == pytest.approx(0.49961, rel=1e-4)
    assert found.ceiling == "cache"
    assert found.share == pytest.approx(0.131, rel=0.01)


def test_the_nearer_ceiling_is_named() -> None:
    assert Standing.of(work(0.5, 1e6), 1e-3, HERE).ceiling == "core cache"
    assert Standing.of(work(16, 1e6), 1e-3, HERE).ceiling == "cache"
    assert Standing.of(work(200, 1e6), 1e-3, HERE).ceiling == "memory"
    busy = Standing.of(work(16, 1e9), 2.5e-3, HERE)
    assert (busy.ceiling, busy.share) == ("int8", pytest.approx(0.5))


def test_a_cache_gives_what_it_can_hold_and_memory_the_rest() -> None:
    assert least(work(16)) == pytest.approx(16 * MIB / 200e9)
    assert least(work(48)) == pytest.approx((32 / 200e9 + 16 / 40e9) * MIB)
    assert least(work(128)) == pytest.approx(128 * MIB / 40e9)
    assert least(work(4)) == pytest.approx((2 / 400e9 + 2 / 200e9) * MIB)


def test_a_ring_of_weights_decides_where_a_small_layer_is_read_from() -> None:
    assert Standing.of(work(6, working_set=200), 1e-3, HERE).ceiling == "memory"
    assert least(work(6, working_set=200)) == pytest.approx(6 * MIB / 40e9)
    ring = Work.of({"operations": 1, "activation_bytes": 0}, 6 * MIB, 200 * MIB)
    assert ring == Work(1, 6 * MIB, 200 * MIB)


def test_more_bytes_never_take_less_time() -> None:
    sizes = [0.1 * 1.1**step for step in range(100)]
    times = [least(work(size)) for size in sizes]
    assert times == sorted(times)


def test_what_cannot_be_known_is_not_judged() -> None:
    assert Work.of({}, 100.0) is None
    assert Work.of({"operations": 2, "activation_bytes": 4}, None) is None
    nothing = Standing.of(work(1, 1), 1e-9, Ceilings())
    assert (nothing.ceiling, math.isnan(nothing.share)) == ("", True)
    assert too_fast(work(1, 1), 1e-12, Ceilings()) == ""
    unknown_cache = Ceilings(memory_bandwidth=40e9)
    assert too_fast(work(1), 1e-9, unknown_cache) == ""


def test_too_fast_is_beyond_105_percent_and_says_both_figures() -> None:
    decode = work(200, 2e6)
    least_seconds = 200 * MIB / 40e9
    assert too_fast(decode, least_seconds / 1.04, HERE) == ""
    sentence = too_fast(decode, least_seconds / 2, HERE)
    assert sentence.startswith("faster than the machine allows: reads 80 GB/s where 40 GB/s were measured; ")
    both = too_fast(work(16, 1e12), 1e-6, HERE)
    assert "reads 1.68e+04 GB/s" in both
    assert "and computes 1e+09 GFLOP/s where 800 GFLOP/s were measured" in both


def test_training_moves_its_weights_three_times() -> None:
    step = Work.of({"operations": 6, "activation_bytes": 10, "weight_passes": 3}, 100.0)
    assert step == Work(6, 310, 110)


def test_ceilings_of_two_measurements_are_the_higher_ones() -> None:
    noisy = Ceilings(threads=2, cache_bytes=32 * MIB, memory_bandwidth=50e9, int8=1e9)
    merged = merge(HERE, noisy)
    assert merged == merge(noisy, HERE)
    assert (merged.memory_bandwidth, merged.int8, merged.cache_bytes) == (50e9, 800e9, 32 * MIB)
    with pytest.raises(ValueError, match="with 1 do not mix"):
        merge(HERE, Ceilings(threads=1))


def test_ceilings_are_those_of_the_device_and_its_threads() -> None:
    everywhere = (Ceilings(threads=1), HERE, Ceilings(device="cuda", threads=2))
    assert matching(make_case(threads=2), everywhere) is HERE
    assert matching(make_case(threads=4), everywhere) is None
    assert matching(make_case(device="cuda"), everywhere) is everywhere[2]


def test_what_a_worker_answers_are_ceilings() -> None:
    values = {"threads": (2.0,), "cache_bytes": (1048576.0,), "int8": (0.5,)}
    assert from_answer("cpu", values) == Ceilings(threads=2, cache_bytes=MIB, int8=0.5)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def test_ceilings_are_kept_by_machine_and_heal(cache: Path) -> None:
    here, elsewhere = make_environment(), make_environment(cpu_model="Another")
    later = make_environment(load_average=9.0, python="3.11.12")
    assert ceilings.recall(here, "cpu", 2) is None
    ceilings.remember(here, HERE)
    ceilings.remember(here, Ceilings(threads=2, memory_bandwidth=99e9))
    found = ceilings.recall(later, "cpu", 2)
    assert found == merge(HERE, Ceilings(threads=2, memory_bandwidth=99e9))
    assert ceilings.recall(elsewhere, "cpu", 2) is None
    assert ceilings.recall(here, "cpu", 1) is None
    assert ceilings.recall(here, "cuda", 2) is None
    (file,) = cache.rglob("*.json")
    assert str(file.relative_to(cache)).startswith(f"bitlinear-bench/{ceilings.KIND}/")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[]", b'{"threads": "2"}', b'{"threads": 1}'])
def test_a_spoilt_cache_is_measured_anew(cache: Path, content: bytes) -> None:
    ceilings.remember(make_environment(), HERE)
    (file,) = cache.rglob("*.json")
    file.write_bytes(content)
    assert ceilings.recall(make_environment(), "cpu", 2) is None
    ceilings.remember(make_environment(), HERE)
    assert ceilings.recall(make_environment(), "cpu", 2) == HERE


def test_a_cache_that_cannot_be_written_is_no_error(cache: Path) -> None:
    (cache / "bitlinear-bench").write_text("not a directory")
    ceilings.remember(make_environment(), HERE)
    assert ceilings.recall(make_environment(), "cpu", 2) is None


@pytest.fixture
def measured(tmp_path: Path) -> str:
    """A layer that reads half of what the cache gives, in three rounds."""
    facts = {"operations": 2e6, "activation_bytes": 0}
    seconds = 2 * 8 * MIB / 200e9
    records = [
        make_record(make_case("int8"), turn, {"latency": seconds, "weight_bytes": 8 * MIB}, facts=facts)
        for turn in range(3)
    ]
    return str(write_run(tmp_path / "run", msgspec.structs.replace(make_run(), ceilings=(HERE,)), records))


def test_every_latency_is_shown_with_its_share(measured: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["show", measured]) == 0
    out = capsys.readouterr().out
    assert "50% cache" in out
    assert "of ceiling: of what this machine was measured" in out
    assert cli.main(["show", measured, "--format", "csv"]) == 0
    rows = {row["metric"]: row for row in csv.DictReader(io.StringIO(capsys.readouterr().out))}
    assert float(rows["bandwidth"]["centre"]) == pytest.approx(100e9)
    assert float(rows["throughput"]["centre"]) == pytest.approx(2e6 / (2 * 8 * MIB / 200e9))
    assert float(rows["intensity"]["centre"]) == pytest.approx(2e6 / (8 * MIB))
    assert float(rows["ceiling_share"]["centre"]) == pytest.approx(0.5)
    units = {name: rows[name]["unit"] for name in ("bandwidth", "throughput", "intensity", "ceiling_share")}
    assert units == {"bandwidth": "B/s", "throughput": "1/s", "intensity": "1/B", "ceiling_share": "1"}


def test_frames_have_it_beside_the_latency(measured: str) -> None:
    frame = frames.summary(measured)
    (row,) = frame[frame["metric"] == "latency"].to_dict("records")
    assert (row["ceiling"], row["ceiling_share"]) == ("cache", pytest.approx(0.5))
    assert frame[frame["metric"] == "weight_bytes"]["bandwidth"].isna().all()
    assert frames.wide(frame).iloc[0]["bandwidth"] == pytest.approx(100e9)


def test_the_report_has_it_too(measured: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "PLOTS", {})
    page = tmp_path / "report.html"
    assert cli.main(["report", measured, "-o", str(page)]) == 0
    text = page.read_text()
    assert "of ceiling" in text
    assert "GFLOP/s" in text


def test_a_run_without_ceilings_shows_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = {"operations": 2e6, "activation_bytes": 0}
    record = make_record(values={"latency": 1.0, "weight_bytes": 8.0}, facts=facts)
    run = str(write_run(tmp_path / "run", None, [record]))
    assert cli.main(["show", run, "--format", "csv"]) == 0
    assert "ceiling" not in capsys.readouterr().out
    assert frames.summary(run)["ceiling"].isna().all()
