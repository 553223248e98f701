"""How much memory a worker may take for one case.

Linux only, and of the CPU's memory only: CUDA maps more than it uses. The limit is one on private writable memory
(RLIMIT_DATA), because the address space as a whole (RLIMIT_AS) also holds libraries, files and what the allocator
reserves for every thread without using it.
"""

import resource
import sys
from pathlib import Path

from harness.model.messages import Memory, Prepare, Probe, Question, Release


class MemoryLimit:
    """`limit` bytes for each case beyond what this process holds when it begins to build it; 0 means no limit."""

    def __init__(self, limit: int) -> None:
        self.limit = limit if sys.platform == "linux" else 0

    def before(self, question: Question) -> None:
        """Set the limit when a case is about to be built, and lift it when all are released."""
        if not self.limit:
            return
        match question:
            case Prepare(case) | Memory(case) | Probe(case) if case.params.get("device", "cpu") == "cpu":
                _limit_data(_held() + self.limit)
            case Prepare() | Release():
                _limit_data(resource.RLIM_INFINITY)


def _held() -> int:
    """Bytes of private writable memory, as the system counts them against the limit."""
    return int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()


def _limit_data(size: int) -> None:
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (size if hard == resource.RLIM_INFINITY else min(size, hard), hard))
