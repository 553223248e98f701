"""Runs in processes of their own, whose acknowledged records are logged (`killable`), and what is left of them."""

import subprocess
import sys
import time
from pathlib import Path

from harness import store

ROOT = Path(__file__).parents[3]
Turn = tuple[str, int]
"""A case and a round."""


def start(worker: str, log: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.harness.fakes.killable", worker, str(log), "run", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> str:
    said = process.communicate(timeout=120)[1]
    assert "Traceback" not in said
    assert "internal error" not in said
    return said


def turns(directory: Path) -> list[Turn]:
    return [(record.case.name, record.round) for record in store.load(directory).records]


def acknowledged(log: Path) -> list[Turn]:
    lines = [line.split("\t") for line in log.read_text().splitlines()] if log.exists() else []
    return [(name, int(number)) for name, number in lines]


def wait_for(path: Path, process: subprocess.Popen[str]) -> float:
    while not path.exists() and process.poll() is None:
        time.sleep(0.001)
    return time.monotonic()
