"""What memory costs that a process lets go of and asks for again: real page faults of real processes."""

import os
import platform
import subprocess
import sys

import pytest

from harness.heap import KEPT, kept

FAULTS_A_TIME = """
import resource, statistics, torch
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def use():
    before = faults()
    for blocks in 1, 3:  # after the first one glibc takes the next from the heap, which is then too much to be kept
        several = [torch.ones(1 << 20) for _ in range(blocks)]
    return faults() - before
print(statistics.median_low(use() for _ in range(15)))
"""


def faults(environment: dict[str, str]) -> int:
    own = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    command = [sys.executable, "-c", FAULTS_A_TIME]
    done = subprocess.run(command, env=own | environment, check=True, capture_output=True, text=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library, which does not read its variables")
def test_a_worker_of_a_gate_pays_once_for_the_memory_that_a_call_takes_again_and_again() -> None:
    given_back = {"MALLOC_MMAP_THRESHOLD_": str(128 << 10)}  # always, and not by luck
    assert faults(given_back) >= 4 * (4 << 20) // os.sysconf("SC_PAGE_SIZE"), "there is nothing to be shown"
    assert faults(kept({})) < 10


def test_what_the_user_has_set_stays() -> None:
    assert kept(dict.fromkeys(KEPT, "0")) == {}
    assert kept({"MALLOC_TRIM_THRESHOLD_": "0"}).keys() == {"MALLOC_MMAP_THRESHOLD_"}
