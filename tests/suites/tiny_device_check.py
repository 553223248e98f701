"""`python -m tests.suites.tiny_device_check OUT SECONDS`: a little of all that a device check does, on a fake GPU."""

import signal
import sys
from pathlib import Path

from suites.device_check.__main__ import _interrupt, check
from suites.device_check.carry_out import PROGRAMS
from suites.device_check.plan import Extent

SHAPE = "shape=16x16"
TINY = Extent(
    schemes=("w1a8", "w2a16-nonorm"),
    properties=("why_not", "input"),
    lanes=1,
    timed=("m=1", SHAPE),
    compiled=("m=1", SHAPE, "regime=graph"),
    stored=("m=1", SHAPE, "scheme=w2a8"),
    gated=("m=1", SHAPE, "scheme=w2a8", "dtype=bfloat16"),
    contestants=("int8",),
    kernels=("-k", "refused"),
)
FAKES = {**PROGRAMS, "bitbench": (sys.executable, "-m", "tests.suites.on_a_fake_gpu")}

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(check(Path(sys.argv[1]), float(sys.argv[2]), "cuda", FAKES, TINY))
