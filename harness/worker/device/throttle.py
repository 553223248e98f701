"""Whether a GPU keeps its pace: its clock, and why it is slowed down, as NVIDIA's management library tells."""

import importlib
import statistics
from dataclasses import dataclass, field
from typing import Any

import torch

SLOWDOWNS = {
    0x04: "power cap",
    0x08: "hardware slowdown",
    0x20: "thermal limit of the driver",
    0x40: "thermal limit of the hardware",
    0x80: "power brake",
}
"""Bits of NVML's clock event reasons. An idle GPU, and clocks that the user has set, are no slowdown."""
FLOOR = 0.75
"""A slowdown counts below this share of the largest clock: nvbench's threshold. Above, a power cap is everyday."""
SM_CLOCK = 1
"""NVML_CLOCK_SM"""
CURE = "cool the GPU, or hold its clock with `nvidia-smi --lock-gpu-clocks`"
UNWATCHED = "nobody watches whether the GPU throttles"


@dataclass(frozen=True)
class Pace:
    """A GPU at one moment: its clock and the largest it has, in Hz, and what slows it down."""

    clock: float
    largest: float
    slowdowns: tuple[str, ...]

    @property
    def throttled(self) -> bool:
        """Whether what is timed at this pace says little of the GPU."""
        return bool(self.slowdowns) and self.clock < FLOOR * self.largest


@dataclass
class Watch:
    """Reads the pace after every sample and remembers it. Where it cannot be read every sample counts, with a doubt."""

    clocks: list[float] = field(default_factory=list)
    """Hz after each sample since the last look."""
    throttled: int = 0
    """Samples discarded since the last look."""
    words: dict[str, None] = field(default_factory=dict)
    """Warnings since they were last taken."""
    blind: str = ""
    """Why the pace cannot be read, once that is known."""
    _handle: Any = None

    def record_pace(self) -> bool:
        """Read the pace; whether the sample that has just ended counts."""
        pace = None if self.blind else self._read()
        if pace is None:
            self.words[f"{UNWATCHED}: {self.blind}"] = None
            return True
        self.clocks.append(pace.clock)
        if pace.throttled:
            self.throttled += 1
            self.words[_discarded(pace)] = None
        return not pace.throttled

    def take_noise(self) -> dict[str, float]:
        """`gpu_clock` (mean, Hz) and `throttled_samples` since the last look."""
        seen = {"gpu_clock": statistics.fmean(self.clocks)} if self.clocks else {}
        seen["throttled_samples"] = float(self.throttled)
        self.clocks, self.throttled = [], 0
        return seen

    def take_doubts(self) -> tuple[str, ...]:
        """Warnings since they were last taken."""
        said, self.words = tuple(self.words), {}
        return said

    def _read(self) -> Pace | None:
        try:
            library: Any = importlib.import_module("pynvml")
        except ImportError:
            self.blind = "install nvidia-ml-py"
            return None
        try:
            self._handle = self._handle or _connect(library)
            clock = library.nvmlDeviceGetClockInfo(self._handle, SM_CLOCK)
            largest = library.nvmlDeviceGetMaxClockInfo(self._handle, SM_CLOCK)
            bits = library.nvmlDeviceGetCurrentClocksThrottleReasons(self._handle)
        except library.NVMLError as error:
            self.blind = f"NVIDIA's management library says {error}"
            return None
        return Pace(clock * 1e6, largest * 1e6, tuple(words for bit, words in SLOWDOWNS.items() if bits & bit))


def _connect(library: Any) -> Any:
    """A handle of torch's current GPU, which the library may number otherwise."""
    library.nvmlInit()
    uuid = torch.cuda.get_device_properties(torch.cuda.current_device()).uuid
    return library.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")


def _discarded(pace: Pace) -> str:
    return (
        f"samples were discarded and taken again, because the GPU throttled ({', '.join(pace.slowdowns)});"
        f" `throttled_samples` in the record's noise counts them; {CURE}"
    )
