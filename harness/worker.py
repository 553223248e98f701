"""The process that imports torch: JSON lines in, JSON lines out, one request at a time.

`python -m harness.worker SUITES_MODULE`. Whatever a contestant prints goes to stderr; whatever it reads is empty.
"""

import ctypes
import gc
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import BinaryIO, TypeVar

import torch

from harness.device import DEVICES, Device
from harness.environment import torch_side
from harness.layout import Layout
from harness.measure import Clock, visit
from harness.memory import kept_by_python, peak_rss, surplus
from harness.model import Case, decode, encode
from harness.protocol import Accuracy, Answer, Describe, Description, Look, Memory, Prepare, Question, Release, Time
from harness.suite import Catalogue, Registry, Workload, follow

PR_SET_PDEATHSIG = 1

Result = TypeVar("Result")


@dataclass
class Prepared:
    """A contestant that is built and can be called."""

    workload: Workload
    call: Callable[[], object]
    device: Device
    clock: Clock
    layout: Layout

    def move(self) -> None:
        """Build it anew at another place in memory, if that is due. The old build goes when the new one is there."""

        def build() -> Callable[[], object]:
            call = self.workload.build()
            call()
            self.device.synchronise()
            return call

        if self.layout.is_due:
            self.call = self.layout.rebuild(build, time.perf_counter)


class Worker:
    """Answers requests. Holds the prepared cases of one contest at a time."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.prepared: dict[Case, Prepared] = {}
        self.canary = torch.randn(192, 192)

    def answer(self, question: Question) -> Answer | Description:
        """The reply to one request. A contestant's exception is an outcome, not an error of the worker."""
        match question:
            case Describe():
                return self.describe()
            case Release():
                self.prepared.clear()
                settle_collector()
                return Answer()
            case Look():
                return self.look()
        _use_threads(question.case)
        try:
            match question:
                case Prepare(case, seed):
                    return self.prepare(case, seed)
                case Accuracy(case, metrics):
                    return self.accuracy(case, frozenset(metrics))
                case Memory(case, seed):
                    return self.memory(case, seed)
                case Time(case, iterations, samples):
                    return self.time(case, iterations, samples)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a contestant may raise anything; it becomes its row
            return Answer("failed", _one_line(error))

    def describe(self) -> Description:
        """What this process sees of the machine and of the catalogue."""
        devices = {name: device.why_not() or "" for name, device in DEVICES.items()}
        catalogue: Catalogue = follow(self.registry.catalogue)()
        best = next(name for name, sentence in devices.items() if not sentence)
        reasons = {name: catalogue.why_not(name, best) for name in catalogue.summaries}
        unavailable = {name: sentence for name, sentence in reasons.items() if sentence}
        return Description(torch_side(), dict(catalogue.summaries), unavailable, devices)

    def prepare(self, case: Case, seed: int) -> Answer:
        """Build and call once, both timed."""
        device = DEVICES[str(case.params.get("device", "cpu"))]
        sentence = device.why_not() or device.why_not_timed(case.params)
        workload = None if sentence else self._workload(case, seed)
        sentence = sentence or (workload.why_not() if workload else None)
        if sentence or workload is None:
            return Answer("skipped", sentence or "")
        torch.manual_seed(seed)
        with workload.context():
            call, build = _timed(device, workload.build)
            _, first = _timed(device, call)
            self.prepared[case] = Prepared(workload, call, device, device.clock_for(case.params), Layout(build + first))
            known = {**workload.stored(call), **device.overhead(call)}
            values = {"prepare": (build,), "first_call": (first,), **_singles(known)}
            note = workload.note(call)
        return Answer(values=values, warnings=(note,) if note else ())

    def accuracy(self, case: Case, metrics: frozenset[str]) -> Answer:
        """Judge the output."""
        ready = self.prepared[case]
        with ready.workload.context():
            check = ready.workload.check(ready.call, metrics)
        values = _singles(check.values)
        return Answer("failed", check.wrong, values) if check.wrong else Answer(values=values)

    def memory(self, case: Case, seed: int) -> Answer:
        """Count the bytes of a second build of the case, so that neither build is timed under the profiler."""
        device = self.prepared[case].device
        workload = self._workload(case, seed)

        def build_and_call() -> Callable[[], object]:
            call = workload.build()
            call()
            return call

        with workload.context():
            allocation, (elsewhere, call) = device.trace(lambda: kept_by_python(build_and_call))
            peaks = {metric: device.trace(part)[0].peak for metric, part in workload.peaks(call).items()}
            rss = peak_rss(call)
            stored, declared = workload.stored(call), workload.declared(call)
        resident = allocation.kept + elsewhere
        values = {"resident_bytes": resident, **peaks, "reserved_bytes": allocation.reserved, "peak_rss": rss}
        told = surplus(resident, declared, stored) if declared is not None else ""
        known = {name: value for name, value in values.items() if value is not None}
        return Answer(values=_singles(known), warnings=(f"{case.implementation}: {told}",) if told else ())

    def time(self, case: Case, iterations: int, samples: int) -> Answer:
        """One visit."""
        ready = self.prepared[case]
        with ready.workload.context():
            ready.move()
            values = visit(ready.clock, ready.call, iterations, samples)
        ready.layout.timed += sum(values) * iterations
        return Answer(values={"latency": values}, warnings=ready.device.doubts())

    def look(self) -> Answer:
        """A fixed product of matrices, on all threads."""
        start = time.perf_counter()
        for _ in range(4):
            torch.mm(self.canary, self.canary)
        noise = {"canary": time.perf_counter() - start}
        for device in {ready.device.name: ready.device for ready in self.prepared.values()}.values():
            noise |= device.noise()
        return Answer(noise=noise)

    def _workload(self, case: Case, seed: int) -> Workload:
        workload: Workload = follow(self.registry.suite(case.suite).workload)(case, seed)
        return workload


def _timed(device: Device, action: Callable[[], Result]) -> tuple[Result, float]:
    device.synchronise()
    start = time.perf_counter()
    result = action()
    device.synchronise()
    return result, time.perf_counter() - start


def _singles(values: Mapping[str, float]) -> dict[str, tuple[float, ...]]:
    return {name: (float(value),) for name, value in values.items()}


def _use_threads(case: Case) -> None:
    threads = int(case.params.get("threads", 0))
    if threads and torch.get_num_threads() != threads:
        torch.set_num_threads(threads)


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:500]}" if text else type(error).__name__


def settle_collector() -> None:
    """Collect now and exempt what survives, mostly torch itself: later collections then take no tenth of a second."""
    gc.collect()
    gc.freeze()


def serve(worker: Worker, requests: BinaryIO, replies: BinaryIO) -> None:
    """Answer until the controller hangs up."""
    for line in requests:
        question: Question = decode(line, Question)  # type: ignore[arg-type]  # a union is no type to mypy
        replies.write(encode(worker.answer(question)) + b"\n")
        replies.flush()


def claim_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Take stdin and stdout for the protocol, and give contestants an empty stdin and stderr as their stdout."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with open(os.devnull) as nothing:  # noqa: PTH123 - a file descriptor is wanted
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    return requests, replies


def main() -> None:
    """Serve one controller, and die with it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    requests, replies = claim_pipes()
    worker = Worker(Registry.load(sys.argv[1]))
    settle_collector()
    serve(worker, requests, replies)


if __name__ == "__main__":
    main()
