"""Contestants in a folder of the user's: how it is searched, and packages in it that are called as the program's."""

import os
from pathlib import Path

import pytest

from harness import store
from harness.model.messages import Find
from harness.runner.process import WorkerProcess
from tests.suites.tiny import TINY
from tests.suites.users_code import bitbench, write

MINE = """
import copy
from torch import nn
import harness.tables
import harness.tables as tables
from harness import NAME
from suites import NAME as SUITES
from bitlinear.kernels import Kernel

assert (NAME, SUITES, harness.tables.SCALE, tables.__name__.split(".")[-1]) == ("mine", "mine", 1, "tables")

class Mine(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.inner = Kernel(copy.deepcopy(layer))

    def forward(self, x):
        from harness.tables import SCALE
        return self.inner(x) * SCALE
"""
KERNEL = """
from torch import nn
from . import NAME
from .deep.down import same

class Kernel(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return same(self.inner(x))
"""
SHADOWING = {
    **{f"{name}/__init__.py": "NAME = 'mine'" for name in ("harness", "src/suites", "bitlinear")},
    "bitlinear/kernels.py": KERNEL,
    "bitlinear/deep/down.py": "def same(x): return x",
    "harness/tables.py": "SCALE = 1",
    "harness/kernels.py": MINE,
    "mine.py": MINE,
}
"""Packages called as the program's, and two contestants that use them."""

pytestmark = pytest.mark.usefixtures("timed_for_a_moment")


@pytest.mark.usefixtures("started_workers")
def test_src_is_searched_in_any_folder_by_every_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All start their workers in this way; a gate does so in two checkouts."""
    folder = tmp_path / os.fsdecode(b"not utf-8: \xff")
    write(folder, {"src/mypkg/kernels.py": "def Mine(layer): ...", "flat.py": "def Mine(layer): ...", **SHADOWING})
    monkeypatch.chdir(folder)
    worker = WorkerProcess("suites")
    try:
        for name in ("mypkg.kernels:Mine", "flat:Mine", "mine:Mine", "harness.kernels:Mine"):
            answer = worker.ask(Find(name), 60)
            assert (answer.outcome, answer.reason) == ("measured", "")
    finally:
        worker.close()


def test_packages_that_are_called_as_the_programs_work_beside_them(tmp_path: Path) -> None:
    write(tmp_path, SHADOWING)
    names = "mine:Mine,harness.kernels:Mine,int8"
    done = bitbench(tmp_path, "run", "quick", *TINY, "--impl", names, "--rounds", "1", "--out", "run")
    assert done.returncode == 0, done.stderr
    found = {record.case.implementation: record.outcome for record in store.load(tmp_path / "run").records}
    assert found == dict.fromkeys(names.split(","), "measured")


def test_where_both_are_needed_the_clash_is_named(tmp_path: Path) -> None:
    write(tmp_path, {"bitlinear/__init__.py": "", "mine.py": "from bitlinear import Implementation\n"})
    done = bitbench(tmp_path, "check", "mine:Mine")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "bitbench: cannot import 'mine:Mine': cannot import name 'Implementation' from 'bitlinear'; in mine.py:1;"
        " the package bitlinear beside it hides bitbench's: rename yours where both are needed"
    ]
