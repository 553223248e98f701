"""What a look says on a system that tells everything, one that tells nothing, and one that is slow to tell."""

import mmap
import os
import sys
import time
from pathlib import Path

import pytest

from harness.machine import noise
from harness.machine.noise import NoiseMonitor

STAT = "cpu  1 2 3 4 5 6 7 {steal} 9 10\ncpu0 1 2 3 4 5 6 7 8 9 10\n"


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    folder = tmp_path / "proc"
    folder.mkdir()
    (folder / "stat").write_text(STAT.format(steal=100))
    (folder / "cpuinfo").write_text("processor: 0\ncpu MHz\t\t: 2000.0\n\nprocessor: 1\ncpu MHz\t\t: 3000.0\n\n")
    return folder


@pytest.fixture
def processors(tmp_path: Path) -> Path:
    folder = tmp_path / "processors"
    folder.mkdir()
    return folder


def test_a_look_says_what_happened_since_the_last_one(proc: Path, processors: Path) -> None:
    monitor = NoiseMonitor(proc, processors)
    (proc / "stat").write_text(STAT.format(steal=350))
    first, second = monitor.look(), monitor.look()
    assert first["steal"] == pytest.approx(250 / os.sysconf("SC_CLK_TCK"))
    assert second["steal"] == 0.0
    assert first["suspended"] == second["suspended"] == 0.0 or not hasattr(time, "CLOCK_BOOTTIME")
    assert second["frequency"] == 2.5e9


def test_page_faults_and_switches_are_counted(proc: Path, processors: Path) -> None:
    monitor = NoiseMonitor(proc, processors)
    memory = mmap.mmap(-1, 64 * mmap.PAGESIZE)
    for page in range(64):
        memory[page * mmap.PAGESIZE] = 1
    seen = monitor.look()
    memory.close()
    assert seen["page_faults"] >= 4  # of 64 small pages, or of few large ones
    assert seen["involuntary_switches"] >= 0


def test_the_governor_knows_the_frequency_better_than_the_list(proc: Path, processors: Path) -> None:
    for core, kilohertz in enumerate((3_000_000, 4_000_000)):
        folder = processors / f"cpu{core}" / "cpufreq"
        folder.mkdir(parents=True)
        (folder / "scaling_cur_freq").write_text(f"{kilohertz}\n")
    assert NoiseMonitor(proc, processors).look()["frequency"] == 3.5e9


def test_what_the_system_does_not_tell_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("time.CLOCK_BOOTTIME", raising=False)
    assert set(NoiseMonitor(tmp_path, tmp_path).look()) == {"involuntary_switches", "page_faults"}


def test_what_is_slow_to_tell_is_left_out(proc: Path, processors: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise, "SLOW", 0.0)
    assert "steal" not in NoiseMonitor(proc, processors).look()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a clock that goes on during sleep")
def test_sleep_is_the_difference_of_two_clocks(proc: Path, processors: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asleep = 0.0
    real = time.clock_gettime
    monkeypatch.setattr(time, "clock_gettime", lambda clock: real(clock) + asleep * (clock == time.CLOCK_BOOTTIME))
    monitor = NoiseMonitor(proc, processors)
    asleep = 0.05
    assert monitor.look()["suspended"] == 0.0
    asleep = 30.0
    assert monitor.look()["suspended"] == pytest.approx(29.95, abs=0.02)
