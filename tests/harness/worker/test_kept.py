"""What one worker of a run computes and a later one reads."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from harness.worker import kept

CPU = torch.device("cpu")


def never() -> tuple[Tensor, ...]:
    raise AssertionError("it was computed before")


def test_it_is_computed_once_and_read_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(kept.FOLDER, str(tmp_path))
    first = torch.randn(2, 3, 5, dtype=torch.float64).unbind()
    assert kept.once("a", lambda: first, CPU) == first
    again = kept.once("a", never, CPU)
    assert len(again) == 2
    assert all(torch.equal(one, other) for one, other in zip(again, first, strict=True))
    again[0].zero_()
    assert torch.equal(kept.once("a", never, CPU)[0], first[0]), "who writes into it spoils it for itself alone"
    assert kept.once("b", lambda: first[:1], CPU) == first[:1]


def test_without_a_folder_or_room_it_is_computed_every_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(kept.FOLDER, raising=False)
    assert kept.once("a", lambda: [torch.ones(1)], CPU) == (torch.ones(1),)
    monkeypatch.setenv(kept.FOLDER, str(tmp_path))
    monkeypatch.setattr(kept, "MOST", 7)
    for value in (1.0, 2.0):
        assert kept.once("a", lambda value=value: [torch.full((1,), value, dtype=torch.float64)], CPU)[0] == value
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("failed writing file")])
def test_a_full_disk_costs_time_and_nothing_else(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(kept.FOLDER, str(tmp_path))

    def full(tensors: object, file: Path) -> None:
        file.write_bytes(b"half")
        raise error

    monkeypatch.setattr(torch, "save", full)
    for _ in range(2):
        assert kept.once("a", lambda: [torch.ones(1)], CPU) == (torch.ones(1),)
    assert not list(tmp_path.iterdir())
