"""What is done on a CUDA GPU, on a fake of torch's: in which order, what is discarded, what is said."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from harness.model import Case
from harness.model.messages import Answer, ObserveMachine, Prepare, Release, Time
from harness.model.suite import Registry
from harness.worker.device import cuda
from harness.worker.device.allocations import Allocation
from harness.worker.device.cuda import (
    ColdClock,
    EventClock,
    Flush,
    GraphClock,
    SteadyClock,
    launch_overhead,
    trace_cuda,
)
from harness.worker.device.devices import DEVICES, Cuda
from harness.worker.device.throttle import Watch
from harness.worker.server import Worker

EMPTY = torch.empty
L2 = 50 << 20
CALL, FLUSH = 0.25, 1000.0
"""Seconds that the fake GPU takes for a call and for a flush."""


class Gpu:
    """A GPU that does what is queued on it at once, on a clock of its own, and writes down what happened."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.log: list[str] = []
        self.capturing: list[str] | None = None
        self.refuses_calls = False
        self.current = "default"
        """The stream."""

    def do(self, word: str, seconds: float = 0.0) -> None:
        if self.capturing is not None:
            self.capturing.append(word)
            return
        self.seconds += seconds
        self.log.append(word)

    def call(self) -> str:
        if self.capturing is not None and self.refuses_calls:
            raise RuntimeError("operation not permitted when stream is capturing\nCUDA kernel errors might be ...")
        self.do("call", CALL)
        return "output"

    def synchronise(self) -> None:
        assert self.capturing is None, "a stream that is captured cannot be waited for"
        self.log.append("synchronise")

    def empty(self, *sizes: int, device: str = "cpu", **options: Any) -> Any:
        if device == "cpu":
            return EMPTY(*sizes, **options)
        return SimpleNamespace(zero_=lambda: self.do(f"flush {sizes[0]}", FLUSH))

    @contextmanager
    def graph(self, made: "Graph") -> Iterator[None]:
        """As torch's, which leaves its own stream as the current one when the capture cannot be ended."""
        self.capturing, before, self.current = made.calls, self.current, "capture"
        try:
            yield
        finally:
            self.capturing = None
            if self.refuses_calls:
                raise RuntimeError("operation failed due to a previous error during capture")
            self.current = before

    @contextmanager
    def stream(self, stream: SimpleNamespace) -> Iterator[None]:
        before, self.current = self.current, stream.name
        if stream.name == "side":
            self.log.append("side")
        try:
            yield
        finally:
            self.current = before

    def new_stream(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(name=name, wait_stream=lambda _: None)


class Event:
    gpu: Gpu

    def __init__(self, enable_timing: bool) -> None:
        assert enable_timing
        self.at = -1.0

    def record(self) -> None:
        self.at = self.gpu.seconds
        self.gpu.log.append("record")

    def synchronize(self) -> None:
        self.gpu.log.append("wait")

    def elapsed_time(self, end: "Event") -> float:
        assert "record" not in self.gpu.log[-1:], "read before anybody waited for the event"
        return (end.at - self.at) * 1e3


class Graph:
    gpu: Gpu

    def __init__(self) -> None:
        self.calls: list[str] = []

    def replay(self) -> None:
        self.gpu.do("replay", CALL * self.calls.count("call"))


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Gpu:
    """A fake in the place of torch's GPU. Without NVIDIA's library, unless a test brings one."""
    fake = Gpu()
    Event.gpu = Graph.gpu = fake
    properties = SimpleNamespace(L2_cache_size=L2, uuid="0123-4567")
    for name, stand_in in {
        "Event": Event,
        "CUDAGraph": Graph,
        "graph": fake.graph,
        "stream": fake.stream,
        "Stream": lambda: fake.new_stream("side"),
        "current_stream": lambda: fake.new_stream(fake.current),
        "_sleep": lambda cycles: fake.do("hold", cycles / cuda.CYCLES),
        "synchronize": fake.synchronise,
        "current_device": lambda: 3,
        "get_device_properties": lambda _: properties,
        "is_available": lambda: True,
    }.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
    monkeypatch.setattr(cuda.torch, "empty", fake.empty)
    monkeypatch.setattr(cuda.time, "sleep", lambda _: fake.log.append("rest"))
    monkeypatch.setitem(sys.modules, "pynvml", None)
    return fake


class Nvml(SimpleNamespace):
    """NVIDIA's management library: one reading of (clock in MHz, reasons) after each sample."""

    class NVMLError(Exception):
        pass

    def __init__(self, *readings: tuple[int, int]) -> None:
        super().__init__(readings=iter(readings), now=(0, 0), asked_for="")

    def nvmlInit(self) -> None:  # noqa: N802 - its name
        """Nothing to start."""

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:  # noqa: N802 - its name
        self.asked_for = uuid
        return "handle"

    def nvmlDeviceGetClockInfo(self, handle: str, kind: int) -> int:  # noqa: N802 - its name
        assert (handle, kind) == ("handle", 1)
        self.now = next(self.readings)
        return self.now[0]

    def nvmlDeviceGetMaxClockInfo(self, handle: str, kind: int) -> int:  # noqa: N802 - its name
        return 2000

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: str) -> int:  # noqa: N802 - its name
        return self.now[1]


def watched(monkeypatch: pytest.MonkeyPatch, *readings: tuple[int, int]) -> Nvml:
    library = Nvml(*readings)
    monkeypatch.setitem(sys.modules, "pynvml", library)  # type: ignore[arg-type]  # a stand-in for the module
    return library


FULL, CAPPED, SLOW = (1980, 0), (1700, 0x04), (900, 0x04 | 0x40)


def test_all_calls_of_a_sample_lie_between_two_events(gpu: Gpu) -> None:
    assert EventClock().elapsed(gpu.call, 4) == (pytest.approx(4 * CALL), "output")
    assert gpu.log == ["synchronise", "record", *["call"] * 4, "record", "wait"]


COLD = [f"flush {L2}", "hold", "record", "call", "record"]


def test_cold_calls_are_timed_one_by_one_after_a_flush_of_the_whole_l2_and_while_the_gpu_is_held(gpu: Gpu) -> None:
    assert ColdClock(Flush()).elapsed(gpu.call, 3) == (pytest.approx(3 * CALL), "output")
    assert gpu.log == ["synchronise", *COLD * 3, "synchronise"]


def test_the_gpu_is_held_for_longer_than_the_quickest_launch_and_no_call_can_prolong_that(
    gpu: Gpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, held = SimpleNamespace(now=0.0), []
    launches = iter([300e-6, 100e-6, 1.0, 90e-6])
    monkeypatch.setattr(cuda.time, "perf_counter", lambda: host.now)
    monkeypatch.setattr(torch.cuda, "_sleep", lambda cycles: held.append(cycles / cuda.CYCLES))

    def call() -> None:
        host.now += next(launches)

    ColdClock(Flush()).elapsed(call, 4)
    assert held == pytest.approx([cuda.HELD, 600e-6, 200e-6, 200e-6], rel=1e-3)
    held.clear()
    launches = iter([1.0, 1.0])
    ColdClock(Flush()).elapsed(call, 2)
    assert held == pytest.approx([cuda.HELD, cuda.LONGEST_HELD])


def test_an_l2_of_unknown_size_is_not_flushed_by_guess(gpu: Gpu, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace())
    with pytest.raises(RuntimeError, match="use cache=hot"):
        ColdClock(Flush()).elapsed(gpu.call, 1)


@pytest.mark.parametrize(("flush", "flushed"), [(None, []), (Flush(), [f"flush {L2}"])])
def test_a_graph_is_captured_after_a_call_aside_and_its_second_replay_is_timed(
    gpu: Gpu, flush: Flush | None, flushed: list[str]
) -> None:
    assert GraphClock(flush).elapsed(gpu.call, 5) == (pytest.approx(5 * CALL), "output")
    before = ["side", "call", "synchronise", "replay", "synchronise"]
    assert gpu.log == [*before, *flushed, "hold", "record", "replay", "record", "wait"]


def test_what_cannot_be_captured_says_why_in_one_line_and_leaves_the_stream_as_it_was(gpu: Gpu) -> None:
    gpu.refuses_calls = True
    with pytest.raises(RuntimeError) as error:
        GraphClock().elapsed(gpu.call, 5)
    assert str(error.value) == (
        "cannot be captured as a CUDA graph (operation not permitted when stream is capturing); use graph=0"
    )
    assert gpu.current == "default"


def test_throttled_samples_are_discarded_counted_and_taken_again(gpu: Gpu, monkeypatch: pytest.MonkeyPatch) -> None:
    library = watched(monkeypatch, SLOW, SLOW, CAPPED, FULL)
    watch = Watch()
    clock = SteadyClock(EventClock(), watch)
    assert [clock.elapsed(gpu.call, 1)[0] for _ in range(2)] == pytest.approx([CALL, CALL])
    assert gpu.log.count("call") == 4
    assert gpu.log.count("rest") == 2
    assert library.asked_for == "GPU-0123-4567"
    assert watch.take_noise() == {
        "gpu_clock": pytest.approx((900 + 900 + 1700 + 1980) / 4 * 1e6),
        "throttled_samples": 2,
    }
    assert watch.take_noise() == {"throttled_samples": 0}
    (doubt,) = watch.take_doubts()
    assert "discarded" in doubt
    assert "(power cap, thermal limit of the hardware)" in doubt
    assert watch.take_doubts() == ()


def test_a_gpu_that_always_throttles_is_no_measurement(gpu: Gpu, monkeypatch: pytest.MonkeyPatch) -> None:
    watched(monkeypatch, *[SLOW] * cuda.ATTEMPTS)
    with pytest.raises(RuntimeError, match=f"throttled during all of {cuda.ATTEMPTS} samples; cool the GPU"):
        SteadyClock(EventClock(), Watch()).elapsed(gpu.call, 1)


def test_an_idle_gpu_and_a_clock_that_the_user_has_set_are_no_throttling(
    gpu: Gpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched(monkeypatch, (210, 0x01), (1000, 0x02), (1000, 0x100))
    watch = Watch()
    assert all(watch.record_pace() for _ in range(3))


def test_without_nvidias_library_samples_count_and_nobody_claims_to_have_watched(gpu: Gpu) -> None:
    watch = Watch()
    assert SteadyClock(EventClock(), watch).elapsed(gpu.call, 1)[0] == pytest.approx(CALL)
    assert watch.take_doubts() == ("nobody watches whether the GPU throttles: install nvidia-ml-py",)
    assert "gpu_clock" not in watch.take_noise()


def test_a_library_that_refuses_is_quoted_and_asked_once(gpu: Gpu, monkeypatch: pytest.MonkeyPatch) -> None:
    library = watched(monkeypatch)
    asked: list[str] = []

    def refuse(uuid: str) -> str:
        asked.append(uuid)
        raise library.NVMLError("Not Supported")

    library.nvmlDeviceGetHandleByUUID = refuse
    watch = Watch()
    assert watch.record_pace()
    assert watch.record_pace()
    assert len(asked) == 1
    assert watch.take_doubts() == (
        "nobody watches whether the GPU throttles: NVIDIA's management library says Not Supported",
    )


def test_launch_overhead_queues_few_calls_and_waits_only_between_loops(
    gpu: Gpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = SimpleNamespace(now=0.0)
    monkeypatch.setattr(cuda.time, "perf_counter", lambda: host.now)

    def call() -> None:
        gpu.call()
        host.now += 2e-6

    assert launch_overhead(call) == pytest.approx(2e-6)
    loop = ["synchronise", *["call"] * cuda.LAUNCHES]
    assert gpu.log == [*loop * cuda.LAUNCH_LOOPS, "synchronise"]

    gpu.log.clear()

    def slow() -> None:
        gpu.call()
        host.now += 1.0

    assert launch_overhead(slow) == pytest.approx(1.0)
    assert gpu.log.count("call") == cuda.LAUNCH_LOOPS


@pytest.mark.parametrize(("backend", "counted"), [("native", "requested"), ("cudaMallocAsync", "allocated")])
def test_bytes_are_what_was_asked_for_above_what_was_there_and_what_was_reserved_is_apart(
    gpu: Gpu, monkeypatch: pytest.MonkeyPatch, backend: str, counted: str
) -> None:
    held = {"current": 1000, "peak": 1900}

    def call() -> str:
        gpu.log.append("call")
        held["current"] = 1300
        return "result"

    for name, answer in {
        "get_allocator_backend": lambda: backend,
        "memory_stats": lambda: {f"{counted}_bytes.all.{which}": size for which, size in held.items()},
        "memory_reserved": lambda: 4096,
        "max_memory_reserved": lambda: 10240,
        "empty_cache": lambda: gpu.log.append("empty"),
        "reset_peak_memory_stats": lambda: gpu.log.append("reset"),
    }.items():
        monkeypatch.setattr(torch.cuda, name, answer)
    assert trace_cuda(call) == (Allocation(peak=900, kept=300, reserved=6144), "result")
    assert gpu.log == ["synchronise", "empty", "reset", "call", "synchronise"]


@pytest.mark.parametrize(
    ("params", "times"),
    [({}, EventClock), ({"cache": "hot"}, EventClock), ({"cache": "cold"}, ColdClock), ({"graph": 1}, GraphClock)],
)
def test_the_case_chooses_the_clock(params: dict[str, Any], times: type) -> None:
    clock = Cuda().clock_for(params)
    assert isinstance(clock, SteadyClock)
    assert isinstance(clock.clock, times)


def test_a_graph_is_replayed_on_a_flushed_cache_if_its_weights_are_to_come_from_memory(gpu: Gpu) -> None:
    device = Cuda()
    for cache, flushes in (("hot", 0), ("stream", 1)):
        gpu.log.clear()
        device.clock_for({"graph": 1, "cache": cache}).elapsed(gpu.call, 2)
        assert gpu.log.count(f"flush {L2}") == flushes


def test_graphs_are_for_cuda_and_cannot_be_flushed_in_between() -> None:
    assert Cuda().why_not_timed({"graph": 1, "cache": "hot"}) is None
    assert "cannot flush" in str(Cuda().why_not_timed({"graph": 1, "cache": "cold"}))
    for name in ("cpu", "mps"):
        assert DEVICES[name].why_not_timed({"graph": 1}) == (
            f"graph=1 replays CUDA graphs, and {name} has none; use graph=0"
        )
        assert DEVICES[name].why_not_timed({"graph": 0}) is None


def worker_on_cuda(**params: object) -> tuple[Worker, Case]:
    case = Case.of("misbehaviour", "honest", {"device": "cuda", **params})
    return Worker(Registry.load("tests.harness.fakes.misbehaviour")), case


def test_a_worker_tells_launch_overhead_clock_and_doubts(gpu: Gpu, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DEVICES, "cuda", Cuda())
    watched(monkeypatch, SLOW, FULL, FULL)
    worker, case = worker_on_cuda()
    prepared = worker.answer(Prepare(case, 0))
    assert isinstance(prepared, Answer)
    assert prepared.values["launch_overhead"][0] >= 0
    timed = worker.answer(Time(case, 2, 2))
    assert isinstance(timed, Answer)
    assert timed.outcome == "measured"
    assert "discarded" in timed.warnings[0]
    look = worker.answer(ObserveMachine())
    assert isinstance(look, Answer)
    assert look.noise["throttled_samples"] == 1
    assert look.noise["gpu_clock"] > 0
    worker.answer(Release())


def test_a_case_that_never_ran_at_full_pace_fails_with_the_reason(gpu: Gpu, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DEVICES, "cuda", Cuda())
    watched(monkeypatch, *[SLOW] * cuda.ATTEMPTS)
    worker, case = worker_on_cuda()
    worker.answer(Prepare(case, 0))
    timed = worker.answer(Time(case, 2, 2))
    assert isinstance(timed, Answer)
    assert timed.outcome == "failed"
    assert "throttled during all" in timed.reason


def test_a_case_that_cannot_be_timed_as_asked_is_skipped(gpu: Gpu) -> None:
    case = Case.of("misbehaviour", "honest", {"device": "cpu", "graph": 1})
    worker = Worker(Registry.load("tests.harness.fakes.misbehaviour"))
    answer = worker.answer(Prepare(case, 0))
    assert isinstance(answer, Answer)
    assert (answer.outcome, answer.reason) == (
        "skipped",
        "graph=1 replays CUDA graphs, and cpu has none; use graph=0",
    )
