"""What is published: a source archive that builds, and a wheel that works from another folder."""

import os
import shlex
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from email import message_from_bytes
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("bitlinear", "harness", "suites")


def python(*arguments: str, cwd: Path, environment: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        (sys.executable, *arguments),
        cwd=cwd,
        env={k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")} | dict(environment or {}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The source archive, and the wheel built from it rather than from the checkout."""
    out = tmp_path_factory.mktemp("dist")
    python("-m", "build", "--no-isolation", "--outdir", str(out), cwd=ROOT)
    (source,), (wheel,) = out.glob("*.tar.gz"), out.glob("*.whl")
    return source, wheel


@pytest.fixture(scope="module")
def installed(archives: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    options = ("--quiet", "--no-deps", "--no-index", "--disable-pip-version-check", "--target", str(target))
    python("-m", "pip", "install", *options, str(archives[1]), cwd=target)
    return target


def test_the_wheel_holds_the_packages_whole(archives: tuple[Path, Path]) -> None:
    names = set(zipfile.ZipFile(archives[1]).namelist())
    tracked = (path for package in PACKAGES for path in (ROOT / package).rglob("*"))
    expected = {str(path.relative_to(ROOT)) for path in tracked if path.is_file() and "__pycache__" not in path.parts}
    assert {name for name in names if ".dist-info/" not in name} == expected
    assert {f"{package}/py.typed" for package in PACKAGES} <= names


def test_the_wheel_says_what_it_is(archives: tuple[Path, Path]) -> None:
    wheel = zipfile.ZipFile(archives[1])
    (metadata,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    message = message_from_bytes(wheel.read(metadata))
    assert message["Name"] == "bitlinear-bench"
    assert message["License-Expression"] == "Apache-2.0"
    assert message["License-File"] == "LICENSE"
    assert message["Requires-Python"] == ">=3.11"
    assert {"torch", "msgspec", "click"} <= {line.split(">")[0] for line in message.get_all("Requires-Dist", [])}


def test_the_source_archive_stands_alone(archives: tuple[Path, Path]) -> None:
    with tarfile.open(archives[0]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "Makefile",
        "action.yml",
        "constraints.txt",
    } <= names
    assert {"tests/test_packaging.py", "tests/golden/index.json", "results/README.md", ".ci/run"} <= names
    assert not any(name.startswith("results/runs") or "__pycache__" in name for name in names)


def test_the_command_works_from_another_folder(installed: Path, tmp_path: Path) -> None:
    environment = {"PYTHONPATH": str(installed), "PYTHONSAFEPATH": "1"}
    told = python(str(installed / "bin" / "bitbench"), "--help", cwd=tmp_path, environment=environment)
    assert "Usage: bitbench" in told
    where = python("-c", "import harness.cli; print(harness.cli.__file__)", cwd=tmp_path, environment=environment)
    assert Path(where.strip()).is_relative_to(installed)


def test_constraints_pin_every_direct_dependency() -> None:
    import tomllib

    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [name for group in project["optional-dependencies"].values() for name in group]
    wanted = {Requirement(name).name for name in (*project["dependencies"], *extras)}
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {line.split("==")[0].lower() for line in lines if "==" in line}
    assert wanted <= pinned


def test_the_pytest_command_of_the_readme_finds_the_cases_from_another_folder(installed: Path, tmp_path: Path) -> None:
    (line,) = (line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("pytest "))
    environment = {"PYTHONPATH": str(installed), "PYTHONSAFEPATH": "1", "PYTEST_ADDOPTS": ""}
    words = shlex.split(line, comments=True)[1:]
    found = python("-m", "pytest", *words, "--collect-only", "-q", cwd=tmp_path, environment=environment)
    assert "test_latency[quick/device:cpu/dtype:float32/implementation:native/k:2560/m:1/n:2560" in found
