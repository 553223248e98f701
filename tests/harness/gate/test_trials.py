"""What trials of the gate are counted as, and what noise lets it resolve."""

import math
from pathlib import Path

import pytest

from harness.analysis.proportion import Share
from harness.commands import selftest_gate
from harness.estimators.t_test import detectable, resolvable
from harness.gate.resolution import Resolution, doubt
from harness.gate.trials import TrialGate, TrialRow, by_case, round_noise, share
from harness.model import Request
from harness.model.injection import Injection
from harness.model.rules import Rules
from tests.harness.fakes.command_line import bitbench


def trial(injection: str = "", mean: str = "ok", **words: str) -> TrialGate:
    cases = {name: TrialRow(word, (0.0, 0.01)) for name, word in words.items()}  # type: ignore[arg-type]  # words for brevity
    return TrialGate(injection, 0, 4, 60.0, cases, TrialRow(mean, ()), {})  # type: ignore[arg-type]  # likewise


def test_what_is_found_and_what_is_false() -> None:
    same = trial(a="regressed", b="ok")
    assert (same.false_reds, same.is_missed) == (["a"], False)
    one = trial("spin 0.1 a", a="regressed", b="regressed")
    assert (one.is_found, one.is_missed, one.false_reds) == (True, False, ["b"])
    missed = trial("work 0.1 a", a="ok", b="ok")
    assert (missed.is_found, missed.is_missed, missed.false_reds) == (False, True, [])
    assert not trial("spin 0.1 a", a="inconclusive").is_missed
    everywhere = trial("spin 0.02", mean="regressed", a="ok")
    assert (everywhere.is_found, everywhere.false_reds) == (True, [])


def test_gates_are_held_of_the_cases_that_are_asked_for_and_kept_where_that_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    held: list[tuple[Request, Injection | None, Path | None]] = []

    def hold(
        request: Request, rules: Rules, injection: Injection | None, watcher: object, directory: Path | None
    ) -> TrialGate:
        held.append((request, injection, directory))
        return trial(str(injection or ""), **{"gate/a": "regressed" if injection else "ok"})

    monkeypatch.setattr(selftest_gate, "hold", hold)
    monkeypatch.setattr(selftest_gate, "cases_of", lambda request: ["gate/a"])
    monkeypatch.setattr(selftest_gate, "describe_torch", dict)
    monkeypatch.setattr(selftest_gate.resolution, "store", lambda *_: None)
    asked = ("--aa", "1", "--inject", "5%", "--times", "1", "--with", "work", "--budget", "1m")
    chosen = ("--device", "cuda", "--impl", "triton", "--axis", "m=2048", "--axis", "dtype=bfloat16")
    done = bitbench("selftest", "gate", *asked, *chosen, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    (same, nothing, first), (slowed, injection, second) = held
    assert same == slowed
    assert (same.suites, same.device, same.implementations, same.budget) == (("gate",), "cuda", ("triton",), 60.0)
    assert (same.axes, same.keyword) == ({"m": (2048,), "dtype": ("bfloat16",)}, "")
    assert (nothing, injection) == (None, Injection("work", 0.05, "gate/a"))
    assert (first, second) == (tmp_path / "1", tmp_path / "2")
    held.clear()
    assert bitbench("selftest", "gate", "--inject", "5%", "--times", "1").returncode == 0
    assert (held[0][0].keyword, held[0][2]) == (selftest_gate.SIX, None)


def test_shares_have_exact_intervals() -> None:
    none = Share.count(0, 20)
    assert (none.lo, none.hi) == (0.0, pytest.approx(1 - 0.025 ** (1 / 20)))
    assert str(share([trial(), trial()], lambda one: True)).startswith("2 of 2, 100 % [15.8, 100.0]")
    assert (Share.count(0, 0).lo, Share.count(0, 0).hi) == (0.0, 1.0)


def test_noise_is_pooled_about_the_mean_of_each_gate() -> None:
    rows = [TrialRow("ok", (0.0, 0.02)), TrialRow("ok", (1.0, 1.02, 1.01))]
    assert round_noise(rows) == pytest.approx(math.sqrt((0.0002 + 0.0002) / 3))
    assert math.isnan(round_noise([TrialRow("ok", (0.1,))]))
    assert list(by_case([trial(a="ok"), trial(a="ok", b="ok")])) == ["a", "b"]


def test_more_noise_and_fewer_rounds_resolve_less() -> None:
    rules = Rules()
    assert resolvable(0.01, rules.ok_level, 20) < resolvable(0.01, rules.ok_level, 9) < resolvable(0.02, 0.01, 9)
    few, many = rules.red_level / 6, rules.red_level / 20
    found = (detectable(0.01, rules.margin, level, 20) for level in (few, many))
    assert 0.03 < next(found) < next(found) < detectable(0.02, rules.margin, many, 20)


def test_a_margin_below_what_the_machine_resolves_is_doubted() -> None:
    noisy, quiet = Resolution(5, {"a": 0.08, "b": 0.09}), Resolution(5, {"a": 0.01, "b": math.nan})
    assert "by 5 gates of `bitbench selftest gate`" in doubt(noisy, ["a", "b", "c"], Rules())
    assert not doubt(quiet, ["a", "b"], Rules())
    assert not doubt(noisy, ["c"], Rules())
    assert not doubt(None, ["a"], Rules())
