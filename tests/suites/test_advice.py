"""The line of code below the advice of a report."""

import logging

import pytest
import torch
from torch import nn

import bitlinear
import suites
from bitlinear.implementations import IMPLEMENTATIONS
from harness.model.suite import Registry
from suites.catalogue.advice import CONVERTS, usage


@pytest.mark.parametrize("scheme", ["w1.58a8", "w4a8g2", "w8a8-nonorm"])
def test_the_line_runs_and_converts_without_a_warning(scheme: str, caplog: pytest.LogCaptureFixture) -> None:
    code = usage("int8" if scheme == "w1.58a8" else "packed", {"scheme": scheme})
    names = {"bitlinear": bitlinear, "model": nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 4))}
    with caplog.at_level(logging.WARNING, "bitlinear"):
        exec(code, names)
    converted = names["model"]
    assert ("replace_linear" in code) != scheme.endswith("-nonorm")
    assert caplog.messages == []
    assert not any(isinstance(module, nn.Linear | bitlinear.BitLinear) for module in converted.modules())
    assert converted(torch.zeros(3, 8)).shape == (3, 4)


def test_the_line_names_implementations_of_the_catalogue() -> None:
    assert set(CONVERTS) <= {one.name for one in IMPLEMENTATIONS}
    assert all(f'"{name}"' in usage(name, {"scheme": "w1.58a8"}) for name in CONVERTS)


def test_there_is_no_line_for_what_cannot_be_converted_to():
    assert usage("mine:Mine", {"scheme": "w1.58a8"}) == ""
    assert usage("native", {"k": 1}) == ""


def test_a_package_of_suites_may_bring_no_such_line():
    assert Registry.load("suites").usage is suites.USAGE
    assert Registry("m", {}, "m:c").usage("native", {"scheme": "w1.58a8"}) == ""
