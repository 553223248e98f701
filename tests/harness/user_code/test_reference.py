"""What is said of a reference that leads nowhere: the cure that helps, and no other."""

import sys
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.user_code.plain_text import HOME
from harness.user_code.reference import follow, meant

SOURCE = """
from pathlib import Path
LIMIT = 3
class Mine: ...
class Other: ...
def _private(): ...
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "kernels").mkdir()
    (tmp_path / "kernels" / "__init__.py").write_text("def build(layer): ...\n")
    (tmp_path / "kernels" / "mine.py").write_text(SOURCE)
    (tmp_path / "broken.py").write_text(f"def load():\n    raise ValueError('no {HOME}/table')\nload()\n")
    (tmp_path / "needy.py").write_text("from kernels.mine import Missing\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("kernels", "kernels.mine", "broken", "needy"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        ("kernels.mine:Mein", "module 'kernels.mine' has no attribute 'Mein'; did you mean kernels.mine:Mine?"),
        ("kernels.mine:zzz", "has no attribute 'zzz'; it has kernels.mine:Mine, kernels.mine:Other"),
        ("kernels.mine:", "it names a module and no object in it; it has kernels.mine:Mine, kernels.mine:Other"),
        ("kernels/mine.py:Mine", "give the module and not its file, as in kernels.mine:Mine"),
        (":Mine", "give it as package.module:object"),
        ("kernels..mine:Mine", "give it as package.module:object"),
        ("broken:Mine", "ValueError: no ~/table; in broken.py:2 in load"),
        ("needy:Mine", "cannot import name 'Missing' from 'kernels.mine'; in needy.py:1"),
        ("nowhere:Mine", "No module named 'nowhere'; run it from the folder that holds the package or its src"),
    ],
)
def test_a_reference_that_leads_nowhere(folder: Path, reference: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        follow(reference)
    words = str(caught.value)
    assert words.startswith(f"cannot import {reference!r}: ")
    assert (
        words.removeprefix(f"cannot import {reference!r}: ").startswith(told) or words.endswith(told) or told in words
    )
    assert words.count("; give it as package.module:object") == 0 or told.endswith("package.module:object")
    assert str(folder) not in words


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("kernels.mine", "; it has kernels.mine:Mine, kernels.mine:Other"),
        ("kernels.mine.mine", "; did you mean kernels.mine:Mine?"),
        ("./kernels/mine.py", "; it has kernels.mine:Mine, kernels.mine:Other"),
        ("kernels", "; did you mean kernels:build?"),
        ("eagre", "; did you mean eager?"),
        ("", ""),
        ("zzz", ""),
    ],
)
def test_a_name_that_is_unknown(folder: Path, name: str, told: str) -> None:
    assert meant(name, ["eager", "int8"], [str(folder)]) == told
    assert "kernels" not in sys.modules
