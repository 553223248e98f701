"""Trained networks: the same start and the same batches whatever the scheme, and the same result when repeated."""

import math
import re
from importlib.machinery import ModuleSpec

import pytest
import torch
from torch import nn

from bitlinear import BitLinear, Scheme
from bitlinear.implementations.reference import Reference
from harness.cli import main
from harness.model import Case
from suites.whole import accuracy
from suites.workloads.trained import tasks, training
from suites.workloads.trained.examination import Trained
from suites.workloads.trained.networks import Classifier, FloatLinear

STEPS = 8


class Blobs(tasks.Task):
    """Two classes of points, in place of data that need not be installed."""

    metric = "trained_accuracy"
    learning_rate = 0.01
    batch = 16

    def __init__(self, device="cpu"):
        generator = torch.Generator().manual_seed(0)
        answers = torch.randint(2, (200,), generator=generator)
        inputs = torch.randn(200, 8, generator=generator) + 2 * answers[:, None]
        self.train, self.test = (inputs[:100], answers[:100]), (inputs[100:], answers[100:])
        self.seen = []

    def network(self):
        return Classifier(8, 16, 2)

    def loss(self, network, inputs, answers):
        self.seen.append(inputs.sum().item())
        return super().loss(network, inputs, answers)

    def examine(self, network):
        inputs, answers = self.test
        return 100 * (network(inputs).argmax(-1) == answers).double().mean().item()


def trained(monkeypatch, task=None, *, scheme="w1.58a8", how="scratch", seeds=1, implementation="reference"):
    """What a case finds, of a small text unless a task is given."""
    task = task or small_text()
    monkeypatch.setitem(tasks.TASKS, "digits", type(task))
    monkeypatch.setattr("suites.workloads.trained.examination.task", lambda name, device: task)
    params = {"task": "digits", "training": how, "scheme": scheme, "steps": STEPS, "seeds": seeds, "device": "cpu"}
    return Trained(Case.of("accuracy", implementation, params), seed=99).build()()


def small_text():
    text = tasks.Text("cpu")
    text.test = tuple(part[:500] for part in text.test)
    text.batch = 32
    return text


def test_a_seed_gives_the_same_again_and_another_gives_another(monkeypatch):
    first = trained(monkeypatch, seeds=2)
    assert trained(monkeypatch, seeds=2) == first
    assert trained(monkeypatch, seeds=1) == first[:1]
    assert first[0] != first[1]
    torch.manual_seed(1234)
    before = torch.random.get_rng_state()
    assert trained(monkeypatch, seeds=2) == first
    assert torch.equal(before, torch.random.get_rng_state())


def test_schemes_begin_alike_and_see_the_same_batches(monkeypatch):
    seen = []
    for scheme in ("w16a16", "w1a8"):
        blobs = Blobs()
        trained(monkeypatch, blobs, scheme=scheme, seeds=2)
        seen.append(blobs.seen)
    assert seen[0] == seen[1]
    assert len(set(seen[0])) == 2 * STEPS
    one, other = (
        training.quantised(training.fresh(Blobs(), 3, "cpu"), Reference(), Scheme.parse(scheme), trainable=True)
        for scheme in ("w16a16", "w1a8")
    )
    assert all(torch.equal(p, q) for p, q in zip(one.parameters(), other.parameters(), strict=True))


def test_training_goes_on_from_a_checkpoint_of_full_precision(monkeypatch):
    text = small_text()
    scratch, checkpoint, none = (
        trained(monkeypatch, text, scheme="w16a16", how=how)[0] for how in ("scratch", "checkpoint", "none")
    )
    assert none == scratch  # what was trained in full precision, examined in full precision
    assert checkpoint < scratch - 0.1
    coarse = trained(monkeypatch, text, scheme="w1a8", how="none")[0]
    assert coarse > none
    assert trained(monkeypatch, text, scheme="w1a8", how="checkpoint")[0] < coarse


def test_a_checkpoint_is_trained_once_a_run(monkeypatch, tmp_path):
    monkeypatch.setenv("BITBENCH_KEPT", str(tmp_path))
    blobs = Blobs()
    found = [trained(monkeypatch, blobs, scheme=scheme, how="none") for scheme in ("w16a16", "w1a8", "w16a16")]
    assert len(blobs.seen) == STEPS
    assert found[0] == found[2]
    (kept,) = tmp_path.glob("*.pt")
    trained(monkeypatch, blobs, scheme="w1a8-nonorm", how="none")
    assert len(list(tmp_path.glob("*.pt"))) == 2, f"the normalisation is trained with, so {kept} does not fit"


def test_contestants_that_cannot_be_trained_may_still_be_examined(monkeypatch):
    one, other = (trained(monkeypatch, how="none", implementation=name) for name in ("reference", "eager"))
    assert one == pytest.approx(other, rel=1e-4)
    params = {"task": "text", "scheme": "w1a8", "steps": 1, "seeds": 1, "device": "cpu"}
    ask = {how: Trained(Case.of("accuracy", "eager", {**params, "training": how}), 0) for how in accuracy.TRAININGS}
    assert ask["none"].why_not() is None
    assert "cannot be trained" in ask["scratch"].why_not()


def test_the_head_and_the_embedding_stay_in_full_precision():
    network = training.quantised(tasks.Text("cpu").network(), Reference(), Scheme.parse("w1a8"), trainable=True)
    kinds = {name: type(module) for name, module in network.named_modules()}
    assert (kinds["first"], kinds["second"], kinds["head"]) == (BitLinear, BitLinear, FloatLinear)
    assert kinds["embedding"] is nn.Embedding


def test_uniform_guesses_take_seven_bits_a_byte():
    text = small_text()
    network = text.network()
    nn.init.zeros_(network.head.weight)
    nn.init.zeros_(network.head.bias)
    assert text.examine(network) == pytest.approx(math.log2(text.SYMBOLS))


def test_no_page_is_both_read_and_kept():
    from pydoc_data.topics import topics

    read, kept = accuracy.pages()
    assert len(read) + len(kept) == sum(len(page.encode()) for page in topics.values())
    assert 0.02 < len(kept) / len(read) < 0.3
    assert kept[:200] not in read
    assert accuracy.pages() == (read, kept)


def test_digits_say_how_their_data_is_had(monkeypatch):
    monkeypatch.setattr("suites.workloads.trained.tasks.find_spec", lambda name: None)
    params = {"task": "digits", "training": "none", "scheme": "w1a8", "steps": 1, "seeds": 1, "device": "cpu"}
    case = Case.of("accuracy", "reference", params)
    assert "pip install 'bitlinear-bench[accuracy]'" in Trained(case, 0).why_not()
    monkeypatch.setattr("suites.workloads.trained.tasks.find_spec", lambda name: ModuleSpec(name, None))
    assert Trained(case, 0).why_not() is None


def test_digits_are_learnt(monkeypatch):
    pytest.importorskip("sklearn")
    digits = tasks.Digits("cpu")
    assert len(digits.train[1]) + len(digits.test[1]) == 1797
    network = training.quantised(training.fresh(digits, 0, "cpu"), Reference(), Scheme.parse("w1a8"), trainable=True)
    assert digits.examine(training.train(network, digits, 60, 0, "scratch")) > 80


def test_what_a_case_is_compared_with():
    told = {
        scheme: accuracy.facts({"scheme": scheme, "task": "text"})["compared_with"]
        for scheme in ("w1a8", "w4a8g2-nonorm")
    }
    by = "implementation=reference"
    assert told == {"w1a8": f"scheme=w16a16 {by}", "w4a8g2-nonorm": f"scheme=w16a16g2-nonorm {by}"}
    point = {"task": "text", "steps": 0, "scheme": "w1a8"}
    assert accuracy.resolve(point)["steps"] == accuracy.STEPS["text"]
    assert accuracy.resolve({**point, "steps": 7})["steps"] == 7


def test_a_run_shows_the_spread_and_the_verdict(tmp_path, capsys):
    words = ["--axis", "task=text", "--axis", "scheme=w16a16,w1a8", "--axis", "training=scratch"]
    words += ["--axis", "steps=12", "--axis", "seeds=3", "--out", str(tmp_path / "run")]
    assert main(["run", "accuracy", *words]) == 0
    capsys.readouterr()
    main(["show", str(tmp_path / "run")])
    shown = capsys.readouterr().out
    rows = [line for line in shown.splitlines() if line.startswith("reference ")]
    assert [row.split()[1] for row in rows] == ["w16a16", "w1a8"]
    assert all("±" in row and "bit/B" in row for row in rows)
    verdict = re.compile(r"[+-][0-9.]+ \[[+-][0-9.]+, [+-][0-9.]+\] bit/B, (ok|worse|better|undecided)")
    assert [bool(verdict.search(row)) for row in rows] == [False, True]
