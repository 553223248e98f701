"""Folders and installed packages of users, and the command line called among them."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.user_code.installed import IMPLEMENTATION_GROUP
from tests.harness.fakes import command_line
from tests.harness.fakes.command_line import Done


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def declare(
    folder: Path, package: str, version: str, points: dict[str, str], group: str = IMPLEMENTATION_GROUP
) -> None:
    """What an installer leaves of a package that declares these entry points."""
    info = folder / f"{package}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    lines = [f"{name} = {reference}" for name, reference in points.items()]
    (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines, ""]))


def bitbench(folder: Path, *words: str) -> Done:
    """Called in that folder."""
    with forgotten(folder):
        return command_line.bitbench(*words, folder=folder)


def bitbench_beside(site: Path, *words: str | Path) -> Done:
    """Called where the packages in `site` are installed."""
    with forgotten(site), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(site), *sys.path])
        return command_line.bitbench(*words, environment={"PYTHONPATH": str(site)})


@contextmanager
def forgotten(folder: Path) -> Iterator[None]:
    """Whatever is imported from `folder` is imported for the first time, and is gone in the end, as with a process."""
    path, known = list(sys.path), set(sys.modules)
    try:
        yield
    finally:
        sys.path[:] = path
        for name in set(sys.modules) - known:
            module = sys.modules[name]
            places = [getattr(module, "__file__", None) or "", *getattr(module, "__path__", ())]
            if any(Path(place).is_relative_to(folder) for place in places):
                del sys.modules[name]
