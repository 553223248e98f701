"""The machine, the revision, and which machines are alike."""

import getpass
import platform
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from harness.cli import main
from harness.commands import env
from harness.machine.environment import INSTRUCTION_SETS, combine, governor, machine, read_cpuinfo, read_sysctl
from harness.machine.revision import revision
from harness.model import COMPARABLE_FIELDS, Environment, Revision, differences
from harness.worker.torch_build import blas_words, torch_side
from tests.harness.data.factories import make_environment

X86_CPUINFO = """\
processor\t: 0
model name\t: Example Xeon
flags\t\t: fpu vme avx2 amx_int8 avx512_vnni avx512f

processor\t: 1
model name\t: Another
flags\t\t: fpu
"""
ARM_CPUINFO = """\
processor\t: 0
Features\t: fp asimd asimddp i8mm bf16
CPU implementer\t: 0x41
CPU part\t: 0xd4f
"""
SYSCTL = """\
machdep.cpu.brand_string: Apple M9
hw.optional.AdvSIMD: 1
hw.optional.arm.FEAT_DotProd: 1
hw.optional.arm.FEAT_I8MM: 0
"""
MKL_BUILD = """\
  - Intel(R) oneAPI Math Kernel Library Version 2024.2-Product Build 20240605 for Intel(R) 64 architecture
  - Intel(R) MKL-DNN v3.12.0 (Git Hash 80afa71)
  - Build settings: BLAS_INFO=mkl, BUILD_TYPE=Release
"""


def git(directory: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(("git", "-C", str(directory), *identity, *arguments), check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "module.py").write_text("x = 1\n")
    (tmp_path / ".gitignore").write_text("installed/\n")
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    return tmp_path


def test_machine_is_known_without_torch_and_names_nobody() -> None:
    here = machine()
    assert here.cores_logical >= here.affinity >= 1
    assert here.memory_bytes > 2**20
    assert here.python == platform.python_version()
    assert here.torch == "unknown"
    words = {word for value in msgspec.structs.astuple(here) for word in str(value).split()}
    assert words.isdisjoint({platform.node(), getpass.getuser(), str(Path.home()), str(Path.cwd())})


def test_torch_side_completes_the_machine() -> None:
    whole = combine(machine(), torch_side())
    assert whole.torch.startswith("2.")
    assert whole.torch_threads >= 1
    assert whole.blas.endswith("kernels")
    assert "unknown" not in (whole.torch, whole.gpu)


def test_combine_refuses_a_field_of_the_wrong_type() -> None:
    with pytest.raises(msgspec.ValidationError, match="torch_threads"):
        combine(machine(), {"torch_threads": "two"})


def test_processors_are_read_from_what_each_system_says() -> None:
    assert read_cpuinfo(X86_CPUINFO) == ("Example Xeon", ("avx2", "avx512f", "avx512_vnni", "amx_int8"))
    assert read_cpuinfo(ARM_CPUINFO) == ("implementer 0x41 part 0xd4f", ("asimd", "asimddp", "i8mm", "bf16"))
    assert read_sysctl(SYSCTL) == ("Apple M9", ("asimd", "asimddp"))
    assert read_cpuinfo("") == read_sysctl("") == ("unknown", ())


def test_blas_in_short_words() -> None:
    assert blas_words(MKL_BUILD, "AVX512") == "mkl 2024.2, oneDNN 3.12.0, AVX512 kernels"
    assert blas_words("BLAS_INFO=open,", "DEFAULT") == "open, DEFAULT kernels"
    assert blas_words("", "DEFAULT") == "unknown, DEFAULT kernels"


def test_governor_names_every_one_in_use(tmp_path: Path) -> None:
    assert governor(tmp_path) == "unknown"
    for core, name in enumerate(("powersave", "performance", "powersave")):
        folder = tmp_path / f"cpu{core}" / "cpufreq"
        folder.mkdir(parents=True)
        (folder / "scaling_governor").write_text(name + "\n")
    assert governor(tmp_path) == "performance, powersave"


def test_revision_is_dirty_when_the_code_is(checkout: Path) -> None:
    clean = revision(checkout)
    assert len(clean.commit) == 40
    assert not clean.dirty
    (checkout / "results").mkdir()
    (checkout / "results" / "run.jsonl").write_text("measured, not run\n")
    assert revision(checkout) == clean
    (checkout / "package" / "new.py").write_text("")
    assert revision(checkout) == Revision(clean.commit, dirty=True)


def test_revision_of_an_installed_copy_is_not_the_checkout_around_it(checkout: Path) -> None:
    installed = checkout / "installed"
    installed.mkdir()
    (installed / "module.py").write_text("x = 1\n")
    assert revision(installed) == Revision()


def test_revision_is_empty_without_git(
    checkout: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert revision(tmp_path_factory.mktemp("elsewhere")) == Revision()
    monkeypatch.setenv("PATH", "")
    assert revision(checkout) == Revision()


def test_alike_machines_do_not_differ() -> None:
    here = make_environment(python="3.11.9", operating_system="Linux 6.1 x86_64", load_average=0.1, memory_bytes=1)
    later = make_environment(python="3.11.12", operating_system="Linux 6.2 x86_64", load_average=9.0, memory_bytes=2)
    assert differences(here, later) == ()


def test_differences_are_told_field_by_field() -> None:
    a = make_environment(torch="2.13.0", instruction_sets=("avx2", "amx_int8"), python="3.11.9")
    b = make_environment(torch="2.12.0", instruction_sets=("avx2",), python="3.12.1")
    assert differences(a, b) == (
        "instruction_sets: amx_int8 vs none besides",
        "python: 3.11 vs 3.12",
        "torch: 2.13.0 vs 2.12.0",
    )


def test_comparable_fields_exist() -> None:
    assert set(COMPARABLE_FIELDS) < set(Environment.__struct_fields__)
    assert len(set(INSTRUCTION_SETS)) == len(INSTRUCTION_SETS)


def test_importing_the_module_loads_no_torch() -> None:
    code = "import sys, harness.machine.environment as e; e.machine(); print('torch' in sys.modules)"
    assert subprocess.run((sys.executable, "-c", code), check=True, capture_output=True, text=True).stdout == "False\n"


TABLE = """\
what                value
processor           Example CPU 1000
instruction sets    avx2 avx512_vnni
cores               2 physical, 2 logical, 2 usable
frequency governor  performance
memory              8.00 GiB
operating system    Linux 6.1 x86_64
python              3.11.9
torch               2.13.0+cpu
BLAS                mkl
torch threads       2
GPU                 none
GPU driver          none
load average        0.25
machine             not known
labels              none
variables           none that matter
revision            abcdef0, with uncommitted changes
"""


@pytest.fixture
def example_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(env, "machine", make_environment)
    monkeypatch.setattr(env, "describe_torch", dict)
    monkeypatch.setattr(env, "revision", lambda: Revision("abcdef0", dirty=True))


@pytest.mark.usefixtures("example_machine")
def test_env_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["env"]) == 0
    assert capsys.readouterr().out == TABLE


@pytest.mark.usefixtures("example_machine")
def test_env_prints_json_as_runs_record_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["env", "--format", "json"]) == 0
    told = msgspec.json.decode(capsys.readouterr().out)
    assert msgspec.convert(told["environment"], Environment) == make_environment()
    assert told["revision"] == {"commit": "abcdef0", "dirty": True}


@pytest.mark.parametrize(("form", "line"), [("csv", "torch,2.13.0+cpu"), ("markdown", "| torch | 2.13.0+cpu |")])
@pytest.mark.usefixtures("example_machine")
def test_env_prints_for_other_programs(capsys: pytest.CaptureFixture[str], form: str, line: str) -> None:
    assert main(["env", "--format", form]) == 0
    assert line in capsys.readouterr().out.splitlines()
