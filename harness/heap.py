"""What the C library does with memory that was let go of, where that can be said."""

import os
from collections.abc import Mapping

KEPT = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(1 << 40)}
"""glibc's (mallopt(3)): blocks of up to 32 MiB, the most that it allows, are of the heap, and that never shrinks."""


def kept(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment in which a worker keeps the memory that it was once given, without what the user has set.

    Else glibc gives memory back whenever enough of it lies free at the end of the heap, and every page of it costs a
    fault when it is asked for again. Whether a call pays for that depends on what happens to lie behind it, and so
    changes from process to process and with every build. Other C libraries do not read these variables.
    """
    return {name: value for name, value in KEPT.items() if name not in environment}
