"""Where a contestant raised: its own lines, by paths that tell nobody's home."""

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch

from harness.user_code.raised import MOST, innermost, own_frames

MINE = """
import json
import torch

def inner(x):
    return torch.nn.functional.linear(x, torch.zeros(3, 3))

def forward(x):
    return inner(x)

def parse():
    return json.loads("{")

def deep(n):
    return deep(n - 1) if n else {}["oops"]

def chained():
    try:
        return parse()
    except ValueError as error:
        raise RuntimeError("no kernel") from error
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "mine.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("pkg", "pkg.mine"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module("pkg.mine")


def trace_of(call: Callable[..., object], *arguments: object) -> tuple[str, ...]:
    with pytest.raises(Exception) as caught:  # noqa: PT011  (whatever it is)
        call(*arguments)
    trace = caught.value.__traceback__
    assert trace is not None
    return own_frames(caught.value.with_traceback(trace.tb_next))  # without this file's own frame


def test_frames_are_its_own_and_named_from_the_folder_it_is_imported_from(mine: ModuleType) -> None:
    found = trace_of(mine.forward, torch.zeros(2, 4))
    assert found == (
        "pkg/mine.py:9 in forward: return inner(x)",
        "pkg/mine.py:6 in inner: return torch.nn.functional.linear(x, torch.zeros(3, 3))",
    )
    assert innermost(found) == "pkg/mine.py:6 in inner"
    assert trace_of(mine.parse) == ('pkg/mine.py:12 in parse: return json.loads("{")',)


def test_the_last_frames_are_kept(mine: ModuleType) -> None:
    assert trace_of(mine.deep, 200) == ('pkg/mine.py:15 in deep: return deep(n - 1) if n else {}["oops"]',) * MOST


def test_the_error_behind_is_told_too(mine: ModuleType) -> None:
    found = trace_of(mine.chained)
    assert found[0] == 'pkg/mine.py:21 in chained: raise RuntimeError("no kernel") from error'
    assert found[1].startswith("because of JSONDecodeError: Expecting property name")
    assert found[-1] == 'pkg/mine.py:12 in parse: return json.loads("{")'
    assert innermost(found) == "pkg/mine.py:21 in chained"


def test_what_none_of_its_code_raised_has_no_frames() -> None:
    assert trace_of(json.loads, "{") == ()
    assert innermost(()) == ""
