"""Machines are told apart without being named, and what their variables change is said."""

from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.machine import ceilings, identity
from harness.machine.identity import parse_labels
from harness.machine.variables import telling
from harness.model import Ceilings
from tests.harness.data.factories import make_environment


def of_id(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    file = tmp_path / "machine-id"
    file.write_text(text)
    monkeypatch.setattr(identity, "FILES", (tmp_path / "missing", file))
    identity._of_the_system.cache_clear()
    try:
        return identity.identity()
    finally:
        identity._of_the_system.cache_clear()


def test_an_identity_tells_machines_apart_and_names_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(identity.NAMED, raising=False)
    one, other = (of_id(text, tmp_path, monkeypatch) for text in ("0123456789abcdef\n", "0123456789abcdee\n"))
    assert one != other
    assert one == of_id("0123456789abcdef", tmp_path, monkeypatch)
    assert {len(one), len(other)} == {16}
    assert "0123456789abcdef" not in one
    monkeypatch.setenv(identity.NAMED, "the second container of this image")
    assert of_id("0123456789abcdef", tmp_path, monkeypatch) not in (one, other)


def test_labels_are_names_and_values(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse_labels(("rack=3, room=b", "gpu.count=2")) == {"rack": "3", "room": "b", "gpu.count": "2"}
    monkeypatch.setenv(identity.LABELLED, "rack=3")
    assert identity.labels() == {"rack": "3"}


@pytest.mark.parametrize("text", ["rack", "rack=", "=3", "3=rack", "a b=c", "rack=3\a4", f"rack={'x' * 65}", "a=1,a=2"])
def test_what_is_no_label_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UsageError, match=r"^--label ") as refused:
        parse_labels((text,))
    assert "\n" not in str(refused.value)


def test_variables_that_change_what_is_measured_are_told_without_paths() -> None:
    assert telling(
        {
            "MALLOC_TRIM_THRESHOLD_": "65536",
            "OMP_NUM_THREADS": "1",
            "LD_PRELOAD": "/home/somebody/lib/libjemalloc.so.2:/opt/x.so",
            "MALLOC_CONF": "background_thread:true,prof_prefix:/home/somebody/prof",
            "HOME": "/home/somebody",
            "LD_LIBRARY_PATH": "/opt",
        }
    ) == {
        "LD_PRELOAD": "libjemalloc.so.2:x.so",
        "MALLOC_CONF": "background_thread:true,prof_prefix:prof",
        "MALLOC_TRIM_THRESHOLD_": "65536",
        "OMP_NUM_THREADS": "1",
    }


def test_a_shared_cache_keeps_the_ceilings_of_like_machines_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    this, like_it = (make_environment(machine=machine) for machine in ("aaaa", "bbbb"))
    fast, slow = (Ceilings(device="cpu", threads=2, memory_bandwidth=bandwidth) for bandwidth in (2e10, 1e10))
    ceilings.remember(this, fast)
    assert ceilings.recall(like_it, "cpu", 2) is None
    ceilings.remember(like_it, slow)
    assert (ceilings.recall(this, "cpu", 2), ceilings.recall(like_it, "cpu", 2)) == (fast, slow)
