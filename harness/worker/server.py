"""The process that imports torch: JSON lines in, JSON lines out, one request at a time.

`python -m harness.worker.server SUITES_MODULE`. A contestant prints to stderr, and reads nothing from stdin.
"""

import os
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import TypeVar

import msgspec
import torch

from harness.machine.affinity import unpinned
from harness.machine.noise import NoiseMonitor
from harness.model import Case
from harness.model.messages import (
    Accuracy,
    Answer,
    Describe,
    Description,
    Find,
    MeasureCeilings,
    Memory,
    ModelReading,
    ObserveMachine,
    Prepare,
    Probe,
    Question,
    ReadModel,
    Release,
    Reply,
    TakeFingerprint,
    Time,
)
from harness.model.suite import Catalogue, Registry
from harness.model.workload import Check, Prepared, Workload, built, require
from harness.user_code.plain_text import of_error
from harness.user_code.raised import own_frames
from harness.user_code.reference import follow, refusal
from harness.worker.answers import judged, of_whom, said, singles, with_findings
from harness.worker.canary import canary
from harness.worker.ceilings import measure
from harness.worker.collector import Collector, settle_collector
from harness.worker.compilation import Compilation
from harness.worker.device.allocations import kept_by_python, peak_rss, surplus
from harness.worker.device.devices import DEVICES, Device
from harness.worker.fingerprint import loaded
from harness.worker.guard.guard import Guard
from harness.worker.layout import Layout
from harness.worker.memory_limit import MemoryLimit
from harness.worker.pipes import claim_pipes, serve
from harness.worker.torch_build import torch_side
from harness.worker.visit import Clock, visit

BALLAST = "BITBENCH_BALLAST"
"""Names the bytes that a worker takes before anything else, so that two workers differ in where things lie."""

Result = TypeVar("Result")


@dataclass
class Ready:
    """A case whose contestant is prepared, and what times it."""

    workload: Workload
    prepared: Prepared
    device: Device
    clock: Clock
    layout: Layout

    def move(self) -> None:
        """Build it anew at another place in memory, if that is due. The old build goes when the new one is there."""

        def rebuild() -> Prepared:
            prepared = _build_and_call(self.workload)
            prepared.settle()
            self.device.synchronise()
            return prepared

        if self.layout.is_due:
            self.prepared = self.layout.rebuild(rebuild, perf_counter)


class Worker:
    """Answers requests. Holds the cases of one contest at a time, ready to be called."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.ready: dict[Case, Ready] = {}
        self._ballast = bytes(int(os.environ.get(BALLAST, "0")))  # kept, so that what is allocated later lies elsewhere
        self.monitor = NoiseMonitor()
        self.canary = canary()
        self._guard = Guard(("harness", *registry.guarded), DEVICES)
        self._process = os.getpid()
        self._collector = Collector()

    def answer(self, question: Question) -> Reply:
        """The reply to one request. A contestant's exception is an outcome, not an error of the worker."""
        match question:
            case Describe():
                return self.describe()
            case TakeFingerprint():
                return loaded(question)
            case ObserveMachine():
                return self.look()
            case MeasureCeilings(device, threads):
                return self.ceilings(device, threads)
            case ReadModel():
                reading: ModelReading = follow(self.registry.models)(question)
                return reading
        if not isinstance(question, Release | Find):
            _use_threads(int(question.case.params.get("threads", 0)))
        builds = isinstance(question, Prepare | Probe | Memory)
        self._guard.begin(thorough=builds)
        with unpinned() if builds else nullcontext():
            answer = self._of_contestants(question)
        if os.getpid() != self._process:
            os._exit(0)  # a contestant forked, and this is the copy: it must not answer in place of its parent
        return said(with_findings(answer, self._guard.end(thorough=builds)))

    def _of_contestants(self, question: Question) -> Answer:
        try:
            match question:
                case Release():
                    return self.release()
                case Find(name):
                    why_not = refusal(self._catalogue().find, name)
                    return Answer("failed", why_not) if why_not else Answer()
                case Prepare(case, seed):
                    return self.prepare(case, seed)
                case Accuracy():
                    return self.accuracy(question)
                case Memory(case, seed):
                    return self.memory(case, seed)
                case Probe(case, seed):
                    return self.probe(case, seed)
                case Time():
                    return self.time(question)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a contestant may raise anything; it becomes its row
            return Answer("failed", of_error(error), trace=own_frames(error))
        raise TypeError(f"no contestant answers {question!r}")

    def describe(self) -> Description:
        """What this process sees of the machine and of the catalogue."""
        devices = {name: device.why_not() or "" for name, device in DEVICES.items()}
        catalogue = self._catalogue()
        best = next(name for name, sentence in devices.items() if not sentence)
        reasons = {name: catalogue.why_not(name, best) for name in catalogue.summaries}
        unavailable = {name: sentence for name, sentence in reasons.items() if sentence}
        peers = {name: dict(known) for name, known in catalogue.peers.items()}
        summaries, baselines = dict(catalogue.summaries), catalogue.baselines
        return Description(torch_side(), summaries, unavailable, devices, catalogue.doubts, peers, baselines)

    def release(self) -> Answer:
        """Forget all."""
        self.ready.clear()
        self._collector.release()
        return Answer()

    def prepare(self, case: Case, seed: int) -> Answer:
        """Build and call once, both timed."""
        device = DEVICES[str(case.params.get("device", "cpu"))]
        sentence = device.why_not() or device.why_not_timed(case.params)
        workload = None if sentence else self._workload(case, seed)
        sentence = sentence or (workload.why_not() if workload else None)
        if sentence or workload is None:
            return Answer("skipped", _sentence(sentence))
        torch.manual_seed(seed)
        with workload.context():
            prepared, build = _elapsed(device, partial(built, workload))
            compilation = Compilation()
            _, first = _elapsed(device, prepared.timed)
            known, doubts = compilation.values(), compilation.first_doubts()
            self.ready[case] = Ready(workload, prepared, device, device.clock_for(case.params), Layout(build + first))
            known |= {**prepared.stored(), **prepared.settle(), **device.overhead(prepared.timed)}
            values = {"prepare": (build,), "first_call": (first,), **singles(known)}
            return Answer(values=values, warnings=(*prepared.notes(), *of_whom(case, doubts)))

    def probe(self, case: Case, seed: int) -> Answer:
        """Judge the contestant elsewhere. One that cannot run here is judged when it is prepared."""
        if DEVICES[str(case.params.get("device", "cpu"))].why_not():
            return Answer()
        workload = self._workload(case, seed)
        torch.manual_seed(seed)
        with workload.context():
            return judged(workload.probe())

    def accuracy(self, asked: Accuracy) -> Answer:
        """Judge the output; where that was done before and every visit does it too, as a visit does, once."""
        case, ready = asked.case, self.ready[asked.case]
        compilation = Compilation()
        with ready.workload.context():
            if asked.again and ready.prepared.inspects:
                ready.prepared.refresh()
                check = Check(wrong=ready.prepared.inspect(ready.prepared.timed()))
            else:
                check = ready.prepared.check(frozenset(asked.metrics))
        answer = judged(check)
        return msgspec.structs.replace(answer, warnings=(*answer.warnings, *of_whom(case, compilation.later_doubts())))

    def memory(self, case: Case, seed: int) -> Answer:
        """Count the bytes of a second build of the case, so that neither build is timed under the profiler."""
        self._collector.settle()
        device = self.ready[case].device
        workload = self._workload(case, seed)
        with workload.context():
            allocation, (elsewhere, prepared) = device.trace(lambda: kept_by_python(partial(_build_and_call, workload)))
            peaks = {metric: device.peak(part) for metric, part in prepared.peaks().items()}
            rss = peak_rss(prepared.timed)
            stored, declared = prepared.stored(), prepared.declared()
            mapped = allocation.missed(prepared.storages())
        resident = allocation.kept + max(elsewhere, mapped)  # a numpy array behind a tensor is both
        values = {"resident_bytes": resident, **peaks, "reserved_bytes": allocation.reserved, "peak_rss": rss}
        told = surplus(resident, declared, stored) if declared is not None else ""
        known = {name: value for name, value in values.items() if value is not None}
        return Answer(values=singles(known), warnings=(f"{case.implementation}: {told}",) if told else ())

    def time(self, asked: Time) -> Answer:
        """One visit, and the judgement on its last output."""
        case, ready = asked.case, self.ready[asked.case]
        with ready.workload.context():
            ready.move()
            ready.prepared.refresh()
            compilation = Compilation()
            values, output = visit(ready.clock, ready.prepared.timed, asked.iterations, asked.samples, asked.warmups)
            doubts = (*ready.device.take_doubts(), *of_whom(case, compilation.later_doubts()))
            wrong = ready.prepared.inspect(output)
        ready.layout.timed += sum(values) * asked.iterations
        if wrong:
            return judged(Check(wrong=wrong))
        return Answer(values={"latency": values}, warnings=doubts)

    def look(self) -> Answer:
        """What happened since the last look, and how long the canary takes now."""
        noise = self.monitor.look()
        for device in {ready.device.name: ready.device for ready in self.ready.values()}.values():
            noise = {**noise, **device.take_noise()}
        return Answer(noise={**noise, "canary": self.canary()})

    def ceilings(self, device: str, threads: int) -> Answer:
        """What the machine can do at most."""
        _use_threads(threads)
        found = msgspec.structs.asdict(measure(device, torch.get_num_threads()))
        return Answer(values=singles({name: value for name, value in found.items() if name != "device"}))

    def _catalogue(self) -> Catalogue:
        catalogue: Catalogue = follow(self.registry.catalogue)()
        return catalogue

    def _workload(self, case: Case, seed: int) -> Workload:
        reference = self.registry.suite(case.suite).workload
        make = follow(reference)
        self._guard.extend()  # to what the workload has imported, before it imports a contestant
        workload: Workload = make(case, seed)
        require(Workload, workload, reference)
        return workload


def _build_and_call(workload: Workload) -> Prepared:
    prepared = built(workload)
    prepared.timed()
    return prepared


def _elapsed(device: Device, action: Callable[[], Result]) -> tuple[Result, float]:
    device.synchronise()
    start = perf_counter()
    result = action()
    device.synchronise()
    return result, perf_counter() - start


def _sentence(why_not: object) -> str:
    """What a contestant gives as the reason why it cannot run. Raises TypeError for anything but text."""
    if not isinstance(why_not, str):
        raise TypeError(f"why_not returned {why_not!r}; it must return a sentence, or None where it can run")
    return why_not


def _use_threads(threads: int) -> None:
    if threads and torch.get_num_threads() != threads:
        torch.set_num_threads(threads)


def main() -> None:
    """Serve one controller."""
    requests, replies = claim_pipes()
    worker = Worker(Registry.load(sys.argv[1]))
    settle_collector()
    serve(worker.answer, requests, replies, MemoryLimit(int(sys.argv[2])))


if __name__ == "__main__":
    main()
