"""What README and docs show is run as it stands there: code, classes that are to be checked, command lines."""

import os
import re
import shlex
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path

import click
import pytest
import torch
from torch import nn

from bitlinear.conformance import INFORMATIVE
from harness.cli import bitbench, main
from suites.special.conformance import SENTENCES

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHELL = re.compile(r"^```(?:bash|sh)?\n(.*?)^```", re.MULTILINE | re.DOTALL)
CHECKED = re.compile(r"bitbench check (\w+):(\w+)")


def blocks(document: Path) -> list[str]:
    return PYTHON.findall(document.read_text())


def of_the_reader(folder: Path) -> dict[str, object]:
    """What an example supposes to be there, beside what it makes itself."""
    (folder / "results" / "runs").mkdir(parents=True)
    (folder / "results" / "runs" / "mine").symlink_to(ROOT / "results" / "examples" / "quick")
    model = nn.Sequential(OrderedDict(body=nn.Linear(10, 20), lm_head=nn.Linear(20, 30)))
    return {"linear": nn.Linear(10, 20), "model": model, "x": torch.randn(3, 10), "run": "results/runs/mine"}


@pytest.mark.parametrize("document", [d for d in DOCUMENTS if blocks(d)], ids=lambda document: document.name)
def test_code_runs_from_top_to_bottom(document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = of_the_reader(tmp_path)
    for block in blocks(document):
        exec(compile(block, str(document), "exec"), names)


def classes() -> list[tuple[str, str, str]]:
    """Module, class and source of each class that a document tells its reader to check."""
    found = []
    for document in DOCUMENTS:
        for module, name in dict.fromkeys(CHECKED.findall(document.read_text())):
            (source,) = (block for block in blocks(document) if f"class {name}(" in block)
            found.append((module, name, source))
    return found


def test_there_are_classes_to_check() -> None:
    assert {name for _, name, _ in classes()} >= {"Mine", "MyLinear"}


@pytest.mark.parametrize(("module", "name", "source"), classes(), ids=lambda text: text if text.isidentifier() else "")
def test_a_class_has_every_property(module: str, name: str, source: str, tmp_path: Path) -> None:
    (tmp_path / f"{module}.py").write_text(source)
    properties = [word for one in SENTENCES if one not in INFORMATIVE for word in ("--property", one)]
    done = subprocess.run(
        [sys.executable, "-m", "harness.cli", "check", f"{module}:{name}", *properties],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def command_lines() -> list[str]:
    """Every whole line of a block that calls the program; drawings have lines that only begin like it."""
    lines = [
        line.strip()
        for document in DOCUMENTS
        for block in SHELL.findall(document.read_text())
        for line in block.replace("\\\n", " ").splitlines()
    ]
    return list(dict.fromkeys(line for line in lines if line.isascii() and line.startswith("bitbench ")))


@pytest.mark.parametrize("line", command_lines())
def test_a_command_line_is_understood(line: str) -> None:
    name, *words = shlex.split(line, comments=True)[1:]
    command = bitbench.get_command(click.Context(bitbench), name)
    assert command is not None
    command.make_context(name, words)


def test_the_tables_of_the_readme_are_what_show_prints(capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "README.md").read_text()
    (command,) = re.findall(r"`(bitbench show [^`]*--metric[^`]*)`", text)
    (shown,) = re.findall(r"^```\n(run .*?)^```", text, re.MULTILINE | re.DOTALL)
    cases = [str(ROOT / word) if word.startswith("results/") else word for word in shlex.split(command)[1:]]
    assert main(cases) == 0
    assert capsys.readouterr().out.startswith(shown)
