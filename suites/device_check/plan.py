"""What is done, in which order, and how much of the time each part of it may take. Imports no torch."""

import importlib.metadata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from bitlinear.conformance import SCHEMES
from harness import HOME
from suites.special.conformance import SENTENCES
from suites.special.device import LATENCY

OUT, SECONDS, RUNS = "OUT", "SECONDS", "RUNS"
"""In the words of a command line: the folder of the check, the seconds that the program is given, and what the steps
before have left for the report."""
ALL_SCHEMES = tuple(map(str, SCHEMES))
KERNELS, CHECKS, LATENCIES, BYTES, GATES = "kernels", "check-", "latency", "memory", "gate-"
"""Steps by name, or by how their names begin."""
KERNEL_TESTS = "tests/bitlinear/triton_on_device.py"
SLOWER = "5%"
"""How much slower one side of the second gate is made."""


@dataclass(frozen=True)
class PlannedStep:
    """One process: a command line, and what comes of it."""

    name: str
    shows: str
    words: tuple[str, ...]
    """`bitbench` or `pytest` first. OUT, SECONDS and RUNS stand for what is known when it begins."""
    reported: str = ""
    """The run or gate that it leaves for the report, as a folder in that of the check."""
    prints: str = ""
    """The file there that has its output; one of its log if empty."""
    why_not: str = ""
    """Why it is not even begun; mostly nothing."""
    is_optional: bool = False
    """Whether nothing is missing without it, where it cannot be begun."""


@dataclass(frozen=True)
class Stage:
    """Steps that run at once, because none of them is timed, or one that has the machine for itself."""

    share: float
    """Of the time, as a number of seconds out of those of all stages."""
    steps: tuple[PlannedStep, ...]


@dataclass(frozen=True)
class Extent:
    """How much is asked. By default all of it; a test asks less."""

    schemes: tuple[str, ...] = ALL_SCHEMES
    properties: tuple[str, ...] = tuple(SENTENCES)
    lanes: int = 3
    """Processes that share what is asked of a contestant that compiles for every layer."""
    timed: tuple[str, ...] = ()
    """Axes of the latencies, as in `m=1`; those of the suite if empty."""
    compiled: tuple[str, ...] = ("shape=4096x4096", "regime=graph")
    """Axes of those of `compiled`, which takes seconds for each shape."""
    stored: tuple[str, ...] = ("m=1,128", "dtype=bfloat16")
    """Axes of the exact bytes."""
    gated: tuple[str, ...] = ("m=2048", "shape=4096x4096", "scheme=w2a8", "dtype=bfloat16")
    """Axes of the gates: calls that are longer than it takes to launch them, or a GPU is not what is timed."""
    contestants: tuple[str, ...] = ("triton", "int8")
    """Of the gates."""
    kernels: tuple[str, ...] = ()
    """Further words for pytest."""


def plan(device: str, extent: Extent | None = None) -> tuple[Stage, ...]:
    """All stages. Their shares are about seconds of eight minutes."""
    asked = extent or Extent()
    return (
        Stage(100, (_kernels(asked), *_conformance(device, asked))),
        Stage(150, (_latency(LATENCIES, device, asked.timed, ()),)),
        Stage(30, (_latency(f"{LATENCIES}-compiled", device, asked.compiled, ("linear-bf16", "compiled")),)),
        Stage(20, (_memory(device, asked),)),
        Stage(75, (_gate(f"{GATES}same", "a gate of the same code is not red", ("--aa", "1"), device, asked),)),
        Stage(95, (_gate(f"{GATES}slower", f"a gate of {SLOWER} more work is red", _INJECTED, device, asked),)),
        Stage(15, (_report(),)),
    )


_INJECTED = ("--inject", SLOWER, "--times", "1", "--with", "work")


def steps(stages: Sequence[Stage]) -> Iterator[PlannedStep]:
    """All of them, in order."""
    return (step for stage in stages for step in stage.steps)


def _kernels(asked: Extent) -> PlannedStep:
    tests = HOME / KERNEL_TESTS
    # The settings of all tests want what only developers have installed.
    words = ("pytest", str(tests), "--confcutdir", str(tests.parent), "-p", "no:cacheprovider", *asked.kernels)
    missing = "" if tests.exists() else f"{KERNEL_TESTS} is not here: run it from a checkout"
    return PlannedStep(KERNELS, "the kernels of triton compute the contract, bit for bit", words, why_not=missing)


def _conformance(device: str, asked: Extent) -> Iterator[PlannedStep]:
    """Every property of everybody, and agreement of triton in every scheme on its own."""

    def step(name: str, implementations: str, *axes: str) -> PlannedStep:
        words = ("bitbench", "run", "conformance", "--suites", "suites.special.conformance", "--device", device)
        limits = ("--case-limit", "60s", "--budget", SECONDS, "--out", f"{OUT}/{name}")
        whole = (*words, "--impl", implementations, *_axes(*axes), *limits)
        return PlannedStep(name, f"conformance of {implementations.replace(',', ', ')}", whole)

    everything = f"property={','.join(asked.properties)}"
    yield step(f"{CHECKS}linear", "linear-fp32,linear-bf16,linear-fp16", everything)
    for lane in range(asked.lanes):
        properties, schemes = (",".join(some[lane :: asked.lanes]) for some in (asked.properties, asked.schemes))
        yield step(f"{CHECKS}triton-{lane + 1}", "triton", f"property={properties}")
        yield step(f"{CHECKS}schemes-{lane + 1}", "triton", "property=schemes", f"scheme={schemes}")
        yield step(f"{CHECKS}compiled-{lane + 1}", "compiled", f"property={properties}", "scheme=w2a8-nonorm")
    for peer in ("gemlite", "bitblas"):
        own = ("scheme=w1.58a8-nonorm", "dtype=bfloat16")
        yield replace(step(f"{CHECKS}{peer}", peer, everything, *own), why_not=_not_installed(peer), is_optional=True)


def _latency(name: str, device: str, axes: Sequence[str], implementations: Sequence[str]) -> PlannedStep:
    words = ("bitbench", "run", LATENCY.name, "--suites", "suites.special.device", "--device", device)
    chosen = ("--impl", ",".join(implementations)) if implementations else ()
    limits = ("--case-limit", "60s", "--budget", SECONDS, "--out", f"{OUT}/{name}")
    of_whom = " and ".join(implementations) or "triton and its rivals"
    return PlannedStep(name, f"latency of {of_whom}, and ceilings", (*words, *chosen, *_axes(*axes), *limits), name)


def _memory(device: str, asked: Extent) -> PlannedStep:
    words = ("bitbench", "run", "memory", "--device", device, "--impl", "linear-bf16,triton,int8")
    limits = ("--budget", SECONDS, "--out", f"{OUT}/{BYTES}")
    return PlannedStep(BYTES, "bytes, exactly", (*words, *_axes(*asked.stored), *limits), BYTES)


def _gate(name: str, shows: str, trials: tuple[str, ...], device: str, asked: Extent) -> PlannedStep:
    words = ("bitbench", "selftest", "gate", *trials, "--device", device, "--impl", ",".join(asked.contestants))
    limits = ("--budget", SECONDS, "--format", "json", "--out", f"{OUT}/{name}")
    return PlannedStep(name, shows, (*words, *_axes(*asked.gated), *limits), f"{name}/1", prints=f"{name}.json")


def _report() -> PlannedStep:
    return PlannedStep("report", "runs and gates as one page", ("bitbench", "report", RUNS, "-o", f"{OUT}/report.html"))


def _axes(*axes: str) -> Iterator[str]:
    for axis in axes:
        yield from ("--axis", axis)


def _not_installed(package: str) -> str:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return f"the package {package} is not installed"
    return ""
