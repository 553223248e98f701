"""The walks of docs/experiments/house: who follows one value through the program visits few modules, each once."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

HOUSE = Path(__file__).parent.parent / "docs/experiments/house"


@pytest.fixture(scope="module")
def house() -> ModuleType:
    sys.path.insert(0, str(HOUSE))
    try:
        return importlib.import_module("walks")
    finally:
        sys.path.remove(str(HOUSE))


def test_every_walk_can_be_walked_and_is_short_enough(house: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert house.main() == 0, capsys.readouterr().err
    assert [(walk.name, walk.most) for walk in house.walks()] == [("a", 22), ("b", 9), ("c", 8), ("d", 12)]


VISIT, KINDS = "from harness.worker.visit import Clock, visit", "from harness.model.metrics.kinds import"
FORWARD = '"suites.workloads.layer.forward:Forward"'


@pytest.mark.parametrize(
    ("module", "old", "new", "fault"),
    [
        ("harness.cli", "harness.commands.", "", "(a) nothing joins harness.commands.run with"),
        ("harness.runner.process", "harness.worker.server", "", "(a) nothing joins harness.worker.server with"),
        ("suites.gate", FORWARD, "''", "(a) nothing joins suites.workloads.layer.forward with"),
        ("harness.commands.gate", "from harness.store import load", "", "(b) nothing joins harness.judge.judge with"),
        ("harness.model.metrics", KINDS, "from typing import", "(c) nothing joins harness.model.metrics.kinds with"),
        ("harness.worker.server", VISIT, "", "(d) nothing joins harness.worker.server with"),
    ],
)
def test_a_call_that_is_gone_is_seen(house: ModuleType, module: str, old: str, new: str, fault: str) -> None:
    texts = house.modules()
    assert old in texts[module]
    texts[module] = texts[module].replace(old, new)
    found = [one for walk in house.walks() for one in house.faults(walk, texts)]
    assert any(one.startswith(fault) for one in found), found


def test_a_module_that_is_gone_is_seen(house: ModuleType) -> None:
    texts = house.modules()
    del texts["harness.runner.plan"]
    assert "(a) there is no module harness.runner.plan" in house.faults(house.walks()[0], texts)


def test_no_module_comes_twice(house: ModuleType) -> None:
    walk = house.walks()[1]
    again = walk._replace(steps=[*walk.steps, walk.steps[0]])
    assert list(house.faults(again, house.modules())) == ["(b) harness.store.runs comes twice"]
