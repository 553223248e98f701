"""Every check on a machine that is quiet, one that is noisy, and one that does not tell."""

import math
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from harness import cli
from harness.machine import checkup
from harness.machine.checkup import Symptom, cpu_quota
from harness.machine.observation import Observation, observe, throttles

CALM = Observation(steal=0.0, busy={"sshd": 0.01}, used=0.02, throttled=0)
STEADY = [1e-4] * 190 + [1.05e-4] * 10
VARYING = [1e-4] * 170 + [1.5e-4] * 30


def seen(**changes: object) -> Observation:
    return Observation(**{"steal": 0.0, "busy": {}, "used": 0.0, "throttled": 0, **changes})  # type: ignore[arg-type]  # a test builder


@pytest.mark.parametrize(
    ("finding", "severity", "words"),
    [
        (checkup.load(0.1, 2), "quiet", "2 usable cores"),
        (checkup.load(1.0, 2), "noisy", "1.00"),
        (checkup.load(4.5, 2), "meaningless", "4.50"),
        (checkup.others(CALM), "quiet", "5 %"),
        (checkup.others(seen(busy={"cc1plus": 0.98, "sh": 0.01}, used=1.0)), "noisy", "cc1plus 98 %"),
        (checkup.others(seen(used=0.8)), "noisy", "cannot be seen"),
        (checkup.steal(None), "unknown", "does not tell"),
        (checkup.steal(0.0), "quiet", "0.0 %"),
        (checkup.steal(0.03), "noisy", "3.0 %"),
        (checkup.steal(0.3), "meaningless", "30.0 %"),
        (checkup.jitter(STEADY), "quiet", "5 % longer"),
        (checkup.jitter(VARYING), "noisy", "50 % longer"),
        (checkup.jitter([1e-4] * 150 + [1e-3] * 50), "meaningless", "900 % longer"),
        (checkup.hypervisor("flags : fpu hypervisor avx2"), "noisy", "guests"),
        (checkup.hypervisor("flags : fpu avx2"), "quiet", "not one"),
        (checkup.hypervisor("Features : asimd"), "unknown", "does not say"),
        (checkup.quota(None, 4), "unknown", "control groups"),
        (checkup.quota(math.inf, 4), "quiet", "no control group"),
        (checkup.quota(4.0, 4), "quiet", "4 of 4"),
        (checkup.quota(2.5, 4), "noisy", "2.5 of 4"),
        (checkup.quota(0.5, 4), "meaningless", "0.5 of 4"),
        (checkup.usable(2, 2), "quiet", "2 of 2"),
        (checkup.usable(2, 8), "noisy", "2 of 8"),
        (checkup.siblings("0"), "quiet", "off"),
        (checkup.siblings("1"), "noisy", "share one core"),
        (checkup.siblings(""), "unknown", "does not tell"),
        (checkup.frequency_governor("performance"), "quiet", "performance"),
        (checkup.frequency_governor("powersave, performance"), "noisy", "powersave"),
        (checkup.frequency_governor("unknown"), "unknown", "does not tell"),
        (checkup.turbo("0", ""), "noisy", "on"),
        (checkup.turbo("1", "1"), "quiet", "off"),
        (checkup.turbo("", "1"), "noisy", "on"),
        (checkup.turbo("", "0"), "quiet", "off"),
        (checkup.turbo("", ""), "unknown", "does not tell"),
        (checkup.heat(seen(throttled=None), None), "unknown", "does not count"),
        (checkup.heat(CALM, 0), "quiet", "no core"),
        (checkup.heat(CALM, 7), "noisy", "7 times since"),
        (checkup.heat(seen(throttled=2), 9), "noisy", "2 times just now"),
        (checkup.power(None), "unknown", "no battery"),
        (checkup.power(True), "quiet", "mains"),
        (checkup.power(False), "noisy", "battery"),
        (checkup.free_memory(2**29), "noisy", "512 MiB"),
        (checkup.free_memory(2**34), "quiet", "16.0 GiB"),
        (checkup.swapping(0), "quiet", "0 B"),
        (checkup.swapping(2**30), "noisy", "1.00 GiB"),
        (checkup.huge_pages("always [madvise] never"), "quiet", "madvise"),
        (checkup.huge_pages("[always] madvise never"), "noisy", "luck"),
        (checkup.huge_pages(""), "unknown", "does not tell"),
        (checkup.clock(4e-8, "tsc"), "quiet", "40.0 ns, from tsc"),
        (checkup.clock(5e-6, ""), "noisy", "5.00 us"),
    ],
)
def test_findings(finding: Symptom, severity: str, words: str) -> None:
    assert finding.severity == severity
    assert words in finding.what
    assert bool(finding.cure) == (severity in ("noisy", "meaningless"))


def group(root: Path, place: str, **files: str) -> None:
    folder = root / "sys/fs/cgroup" / place
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text + "\n")


def belongs_to(root: Path, text: str) -> None:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(text + "\n")


def test_the_least_quota_of_all_groups_above_counts(tmp_path: Path) -> None:
    belongs_to(tmp_path, "0::/outer/inner")
    group(tmp_path, "outer", cpu__max="150000 100000")
    group(tmp_path, "outer/inner", cpu__max="max 100000")
    assert cpu_quota(tmp_path) == 1.5


def test_quotas_of_the_first_version_count_too(tmp_path: Path) -> None:
    belongs_to(tmp_path, "3:cpu,cpuacct:/task\n1:name=systemd:/")
    group(tmp_path, "cpu,cpuacct", cpu__cfs_quota_us="-1", cpu__cfs_period_us="100000")
    assert cpu_quota(tmp_path) == math.inf
    group(tmp_path, "cpu,cpuacct/task", cpu__cfs_quota_us="50000", cpu__cfs_period_us="100000")
    assert cpu_quota(tmp_path) == 0.5


def test_without_control_groups_the_quota_is_unknown(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path) is None


def test_heat_is_counted_over_all_cores(tmp_path: Path) -> None:
    assert throttles(tmp_path) is None
    for core, count in enumerate((2, 3)):
        folder = tmp_path / f"cpu{core}" / "thermal_throttle"
        folder.mkdir(parents=True)
        (folder / "core_throttle_count").write_text(f"{count}\n")
    assert throttles(tmp_path) == 5


def test_watching_finds_out_about_this_machine(tmp_path: Path) -> None:
    found = observe(tmp_path, seconds=0.02)
    assert found.throttled is None
    assert found.used >= -0.1
    assert all(share >= 0 for share in found.busy.values())


def test_a_system_that_tells_nothing_is_unknown_and_not_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup, "observe", lambda _: seen(steal=None, throttled=None))
    unknown = {finding.topic for finding in checkup.check(tmp_path) if finding.severity == "unknown"}
    told = {"steal", "virtual machine", "processor quota", "hyper-threading", "frequency governor", "turbo", "heat"}
    assert told | {"huge pages"} <= unknown


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def finds(*findings: Symptom) -> None:
        monkeypatch.setattr(checkup, "check", lambda: list(findings))

    return finds


QUIET, NOISY = Symptom("swap", "quiet", "none"), Symptom("load", "noisy", "load 1.5", "wait")
HOPELESS = Symptom("steal", "meaningless", "half is stolen", "use another machine")


def test_the_noisiest_come_first_and_noise_alone_is_no_failure(
    found: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    found(QUIET, NOISY)
    assert cli.main(["env", "--check", "--format", "json"]) == 0
    rows = msgspec.json.decode(capsys.readouterr().out)
    assert [row["what"] for row in rows] == ["load", "swap"]
    assert rows[0] == {"what": "load", "state": "noisy", "found": "load 1.5", "to quiet it": "wait"}


@pytest.mark.parametrize("form", ["text", "markdown", "csv", "json"])
def test_where_measuring_is_meaningless_the_exit_code_is_4(
    found: Callable[..., None], capsys: pytest.CaptureFixture[str], form: str
) -> None:
    found(QUIET, HOPELESS)
    assert cli.main(["env", "--check", "--format", form]) == 4
    out, err = capsys.readouterr()
    assert "half is stolen" in out
    assert err == "bitbench: measuring here would be meaningless: half is stolen; use another machine\n"
