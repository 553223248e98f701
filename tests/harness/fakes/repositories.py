"""Git repositories that tests make, and a gate between two commits of one."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from harness import cli

FORWARD = """
import torch
from torch import nn


class Layer(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        {work}
        return self.layer(x)


def build(layer):
    return Layer(layer)
"""
SAME = FORWARD.format(work="pass")


def git(repository: Path, *words: str) -> str:
    who = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    done = subprocess.run(("git", "-C", str(repository), *who, *words), check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(repository: Path, files: Mapping[str, str | None]) -> str:
    for name, text in files.items():
        path = repository / name
        if text is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    git(repository, "add", "--all")
    git(repository, "commit", "-m", "change")
    return git(repository, "rev-parse", "HEAD")


def worktrees(repository: Path) -> int:
    return len(git(repository, "worktree", "list").splitlines())


def gate(
    repository: Path, monkeypatch: pytest.MonkeyPatch, *words: str, out: str = "out", of: str = "own.layer:build"
) -> int:
    monkeypatch.chdir(repository)
    (repository / ".git" / "info" / "exclude").write_text("out\ngate.toml\n")
    (repository / "gate.toml").write_text("rounds = 4\n")
    common = ("--impl", of, "--axis", "shape=64x64", "--axis", "m=1", "--threads", "1")
    return cli.main(["gate", "--base", "HEAD~1", *common, *(("--out", out) if out else ()), *words])
