"""Suites in a package of the user's: the example of the page, as it stands there, and what is refused."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness import store
from harness.errors import UsageError
from harness.model.suite import Registry
from harness.runner.packages import registry_for
from harness.user_code.installed import SUITE_GROUP
from tests.suites.users_code import bitbench, bitbench_beside, declare, write

(PAGE,) = (Path(__file__).parents[2] / "docs").rglob("own-suite.md")
FILE = re.compile(r"^```python\n# (\S+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
TINY = ("--impl", "int8,linear-bf16", "--threads", "1", "--metric", "exact", "--rounds", "1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a reader of the page has written."""
    files = dict(FILE.findall(PAGE.read_text()))
    assert set(files) == {"mypkg/suites.py", "mypkg/rows.py", "mypkg/adding.py"}
    write(tmp_path, files)
    return tmp_path


def test_the_example_of_the_page_is_listed_run_and_gone_on_with(folder: Path) -> None:
    listed = bitbench(folder, "list", "--suites", "mypkg.suites")
    assert re.search(r"^decode +the layers of my model, token by token +shape=96x64,64x128 m=1", listed.stdout, re.M)
    assert re.search(r"^int8 ", listed.stdout, re.M), listed.stderr
    done = bitbench(folder, "run", "decode", "--suites", "mypkg.suites", *TINY, "--out", "run")
    assert done.returncode == 0, done.stderr
    stored = store.load(folder / "run")
    assert stored.run.request.package == "mypkg.suites"
    found = {(r.case.implementation, r.case.params["n"]): r.outcome for r in stored.records}
    assert found == dict.fromkeys([(name, n) for name in ("int8", "linear-bf16") for n in (96, 64)], "measured")
    resumed = bitbench(folder, "run", "--resume", "--out", "run", "--dry-run")
    assert "decode: 0 cases in 0 contests: nothing is left to be measured" in resumed.stdout, resumed.stderr
    elsewhere = bitbench(folder / "run", "run", "--resume", "--out", ".")
    assert elsewhere.returncode == 2
    assert "run it from the folder that holds the package or its src, or install the package" in elsewhere.stderr


def test_contestants_and_workload_may_be_the_users_own(folder: Path) -> None:
    done = bitbench(
        folder, "run", "rows", "--suites", "mypkg.rows", "--axis", "rows=8", "--rounds", "2", "--out", "run"
    )
    assert done.returncode == 0, done.stderr
    records = store.load(folder / "run").records
    assert {(r.case.implementation, r.outcome) for r in records} == {("loop", "measured"), ("matmul", "measured")}
    assert all(record.values("latency") for record in records)
    assert bitbench(folder, "run", "rows", "--suites", "mypkg.rows", "--axis", "rows=0").stderr.endswith(
        "suite rows, axis rows: 0 is no number of rows; give a whole number from 1\n"
    )


KERNELS = """
from torch import nn
import copy

class Mine(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.inner = copy.deepcopy(layer){more}

    def forward(self, x):
        return self.inner(x)
"""


def test_a_gate_measures_both_revisions_by_the_one_declaration_of_the_working_tree(folder: Path) -> None:
    """Base has no such suite, and head is bigger."""

    def git(*words: str) -> None:
        identity = ("-c", "user.name=x", "-c", "user.email=x@x")
        subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)

    new = (folder / "mypkg" / "suites.py").read_text()
    write(folder, {"mypkg/suites.py": "SUITES = ()\n", "mypkg/kernels.py": KERNELS.format(more="")})
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "base")
    more = '; self.register_buffer("more", layer.weight.detach().clone())'
    write(folder, {"mypkg/suites.py": new, "mypkg/kernels.py": KERNELS.format(more=more)})
    words = ("--impl", "mypkg.kernels:Mine", "--threads", "1", "--metric", "weight_bytes", "--out", "gate")
    done = bitbench(folder, "gate", "decode", "--suites", "mypkg.suites", "--base", "HEAD", *words)
    assert done.returncode == 1, done.stderr + done.stdout
    assert "2 regressed" in done.stdout


@pytest.fixture
def site(folder: Path) -> Path:
    """Two packages: the suite of the example, a name that both claim, one of bitbench, and one that leads nowhere."""
    points = {"decode": "mypkg.suites", "quick": "mypkg.suites", "both": "mypkg.rows", "gone": "mypkg.suites"}
    declare(folder, "mypkg", "1.2", points, SUITE_GROUP)
    declare(folder, "otherpkg", "0.3", {"both": "mypkg.rows"}, SUITE_GROUP)
    return folder


def test_suites_of_installed_packages_are_had_by_name_and_clashes_are_told(site: Path) -> None:
    listed = bitbench_beside(site, "list")
    assert re.search(r"^decode +mypkg.suites, from mypkg 1.2", listed.stdout, re.M), listed.stderr
    assert listed.stderr.splitlines() == [
        "bitbench: 'both' of mypkg 1.2 is claimed by other packages too; it can be had by --suites mypkg.rows",
        "bitbench: 'both' of otherpkg 0.3 is claimed by other packages too; it can be had by --suites mypkg.rows",
        "bitbench: 'quick' of mypkg 1.2 is the name of one of bitbench's own; it can be had by --suites mypkg.suites",
    ]
    planned = bitbench_beside(site, "run", "decode", "--impl", "int8", "--dry-run")
    assert "decode: 2 cases in 2 contests" in planned.stdout, planned.stderr
    for name, told in [
        (
            "quick decode",
            "a run is of one package of suites, and quick is of suites, decode is of mypkg.suites: run them",
        ),
        (
            "both",
            "'both' of mypkg 1.2 is claimed by other packages too; it can be had by --suites mypkg.rows; 'both' of",
        ),
        ("gone", "'gone' should be in mypkg.suites, from mypkg 1.2; choose from: decode, sentinel"),
        ("decoed", "unknown suite 'decoed'; choose from: quick"),
    ]:
        done = bitbench_beside(site, "run", *name.split())
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
        assert told in done.stderr
    assert "did you mean decode?" in done.stderr


SOUND = """
from harness import Budget, Suite

def suite(**changes):
    usual = dict(name="mine", summary="", axes=(), metrics=("latency",), budget=Budget(rounds=1, seconds=0.1),
                 workload="x:y", resolve=dict, facts=dict)
    return Suite(**{**usual, **changes})
"""


@pytest.mark.parametrize(
    ("module", "source", "told"),
    [
        (
            "nosuch",
            "",
            "'nosuch' is no package of suites: cannot import 'nosuch:SUITES': No module named 'nosuch'; run it",
        ),
        ("s1.py", "", "give the module and not its file, as in s1:SUITES"),
        ("s2", "NAMES = ()", "has no attribute 'SUITES'"),
        ("s3", "raise RuntimeError('broken')", "RuntimeError: broken; in s3.py:1"),
        ("s4", "SUITES = ('quick',)", "SUITES of s4 is no tuple of harness.Suite; write SUITES = (MINE,)"),
        ("s5", f"{SOUND}SUITES = (suite(), suite())", "s5 has 2 suites called 'mine': rename all but one"),
        ("s6", f"{SOUND}SUITES = (suite(name='a b'),)", "s6: 'a b' is no name of a suite; use letters, digits"),
        (
            "s7",
            f"{SOUND}SUITES = (suite(metrics=('latncy',)),)",
            "suite mine measures the unknown metric 'latncy'; declare it as Exact, Sampled or Paired, or choose from",
        ),
        (
            "s8",
            f"{SOUND}SUITES = (suite(name='quick'),)",
            "s8 has a suite 'quick', which is the name of one of bitbench's",
        ),
        ("suites.mine", "", "suites is bitbench's own package: call yours otherwise"),
    ],
)
def test_what_is_no_package_of_suites_is_one_clear_line(
    module: str, source: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    if source:
        write(tmp_path, {f"{module}.py": source})
    with pytest.raises(UsageError) as refused:
        registry_for(("mine",), module)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_without_a_catalogue_the_contestants_and_the_watch_are_the_projects_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    own = Registry.load("suites")
    write(
        tmp_path, {"s9.py": f"{SOUND}SUITES = (suite(),)", "s10.py": f"{SOUND}SUITES = (suite(),)\nCATALOGUE = 'x:y'"}
    )
    usual = registry_for(("mine",), "s9")
    assert (usual.catalogue, usual.guarded, usual.sentinels) == (own.catalogue, own.guarded, own.sentinels)
    assert set(usual.suites) == {"mine", *own.sentinels}
    theirs = registry_for(("mine",), "s10")
    assert (theirs.catalogue, theirs.guarded, theirs.sentinels) == ("x:y", (), ())
    assert set(theirs.suites) == {"mine"}
