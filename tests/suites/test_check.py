"""`bitbench check`: what is wrong with a contestant is found under the right name, on the smallest example."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import torch

from bitlinear import Scheme
from bitlinear.conformance import PROPERTIES, SCHEMES
from bitlinear.conformance.check import check, refused
from bitlinear.conformance.subject import Subject
from harness.model import Case
from harness.model.messages import Find
from harness.runner.process import WorkerProcess
from suites.catalogue.factory import from_factory
from suites.special.conformance import SENTENCES
from suites.workloads.own.conformance import Conformance
from tests.harness.fakes.command_line import Done, bitbench
from tests.suites import contestants, zoo

ROOT = Path(__file__).parents[2]
ZOO = "tests.suites.zoo:"
USUAL = (Scheme.parse("w1.58a8"),)


def failing(made: object, properties: Iterable[str] = PROPERTIES) -> dict[str, str]:
    """The properties that the contestant does not have, each with the reason."""
    implementation = from_factory(made, "theirs")  # type: ignore[arg-type]  # anything that a user may give
    found = {name: check(name, Subject(implementation, USUAL)).fault for name in properties}
    return {name: fault for name, fault in found.items() if fault}


@pytest.mark.parametrize(
    ("made", "name", "fault"),
    [
        (zoo.WrongAtOddK, "sizes", "relative error 1, 0.0"),
        (zoo.Refuses, "sizes", "refuses to build: ValueError: in_features must be a multiple of 64"),
        (zoo.SkipsTokens, "schemes", "relative error"),
        (contestants.NotANumber, "schemes", "1 of 640 values are NaN or infinite, expected 0"),
        (contestants.Dtype, "schemes", "dtype torch.float64, expected the input's torch.float32"),
        (contestants.Raises, "schemes", "raised RuntimeError: out of luck"),
        (zoo.SystemExits, "schemes", "raised SystemExit: 3"),
        (zoo.Lazy, "schemes", "returned a LazyTensor, not a plain tensor"),
        (lambda layer: lambda x: 3, "schemes", "returned an int, not a plain tensor"),
        (zoo.closure, "state_dict", "when its state_dict is loaded"),
        (zoo.NaNForOutliers, "outliers", "values are NaN or infinite, expected 0"),
        (zoo.WrongForOneToken, "shapes", "relative error 0.4"),
        (zoo.ModifiesInput, "input", "changed its input"),
        (zoo.ModifiesWeights, "weights", "changed spare in its second call"),
        (zoo.AliasOfLastOutput, "memory", "returned the memory of an earlier output"),
        (zoo.CachedOutput, "history", "for other values in the same place as those before"),
        (zoo.MemoOnPointer, "history", "for other values in the same place as those before"),
        (zoo.Irreproducible, "repeatable", "another output"),
        (contestants.honest, "layer", "depends on the layer that it was built from"),
        (zoo.KeepsFloatCopy, "state_dict", "when its state_dict is loaded into an op of other weights"),
        (zoo.RaisesLater, "threads", "raised RuntimeError: out of luck"),
    ],
)
def test_what_is_wrong_is_found_under_its_name(made: object, name: str, fault: str) -> None:
    assert fault in failing(made, [name])[name]


def test_an_honest_one_has_every_property() -> None:
    assert failing(zoo.Honest) == {}


def test_the_smallest_example_is_the_one_reported() -> None:
    found = failing(zoo.WrongAtOddK, ["sizes"])["sizes"]
    assert found.endswith("with scheme=w1.58a8 K=3 N=1 bias=False x=(32, 3) float32")


def test_a_refusal_is_passed_over_and_a_failure_of_all_is_not() -> None:
    def choosy(layer):  # type: ignore[no-untyped-def]  # as a user would write it
        if layer.scheme.weight_bits != 1.58 or layer.in_features % 64:
            raise ValueError("only w1.58, and whole vectors")
        return zoo.Honest(layer)

    def broken(layer):  # type: ignore[no-untyped-def]  # as a user would write it
        raise RuntimeError("no such instruction")

    chosen = Subject(from_factory(choosy, "choosy"))
    found = check("schemes", chosen)
    assert (found.fault, found.examples) == ("", sum(scheme.weight_bits == 1.58 for scheme in SCHEMES))
    assert "only w1.58" in refused(Subject(from_factory(choosy, "choosy"), (Scheme(1),)))
    assert refused(Subject(from_factory(broken, "broken"))) == ""
    assert "no layer could be built: RuntimeError: no such instruction" in failing(broken, ["schemes"])["schemes"]


@pytest.mark.parametrize(
    ("name", "kept"), [("Honest", ""), ("KeepsFloatCopy", "bits a weight and keeps"), ("KeepsNumpyCopy", "keeps 32")]
)
def test_a_hidden_copy_is_found(name: str, kept: str) -> None:
    params = {"property": "storage", "scheme": "w1.58a8", "dtype": "float32", "device": "cpu"}
    workload = Conformance(Case.of("conformance", ZOO + name, params), 0)
    with torch.inference_mode():
        found = workload.build().check(frozenset())
    assert kept in found.wrong
    assert bool(kept) == bool(found.wrong)


def check_in(folder: Path, *words: str) -> Done:
    return bitbench("check", *words, folder=folder, environment={"COLUMNS": "200"})


def test_one_that_fails_crashes_or_hangs_costs_that_property() -> None:
    asked = ("--scheme", "w1.58a8", "--property", "why_not", "--property", "sizes")
    done = check_in(ROOT, ZOO + "WrongAtOddK", *asked)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "1 pass, 1 fail"
    assert "sizes: relative error 1" in done.stdout
    assert "with scheme=w1.58a8 K=3 N=1 bias=False" in done.stdout
    assert "sizes     CRASH" in check_in(ROOT, ZOO + "Exits", *asked).stdout
    hanging = check_in(ROOT, "tests.suites.contestants:Hangs", *asked, "--case-limit", "3s")
    assert (hanging.returncode, "TIMEOUT" in hanging.stdout) == (1, True)


def test_what_tampers_fails_even_if_its_answers_are_right() -> None:
    done = check_in(ROOT, ZOO + "ChangesDtype", "--scheme", "w1.58a8", "--property", "repeatable")
    assert done.returncode == 1
    assert "not to be trusted: it changed the default dtype" in done.stdout


def test_nothing_to_ask_is_no_success() -> None:
    done = check_in(ROOT, "int8", "--scheme", "w1a16", "--property", "schemes")
    assert done.returncode == 5
    assert "nothing could be asked of int8" in done.stderr
    assert "activation_bits=16" in done.stderr


@pytest.fixture(scope="module")
def worker() -> Iterator[WorkerProcess]:
    worker = WorkerProcess("suites.special.conformance")
    yield worker
    worker.close()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("eagre",), "unknown implementation 'eagre'; choose from: linear-fp32"),
        (("int8,eager",), "more than one implementation; check them one by one"),
        (("int8", "--scheme", "w9"), "not a scheme: 'w9'"),
        (("int8", "--property", "speed"), "'speed' is unknown; choose from: why_not"),
        (("nowhere.to_be:found",), "cannot import 'nowhere.to_be:found': No module named 'nowhere'; run it from"),
        (("tests.suites.contestants:Fragile",), "TypeError: no table for 'NoneType'; in tests/suites/contestants.py:"),
    ],
)
def test_bad_input_gets_one_clear_line_and_exit_code_2(words: tuple[str, ...], message: str) -> None:
    done = check_in(ROOT, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "why_not"),
    [
        ("tests.suites.zoo:honset", "has no attribute 'honset'; did you mean tests.suites.zoo:Honest?"),
        ("tests/suites/zoo.py:Honest", "give the module and not its file, as in tests.suites.zoo:Honest"),
        ("tests.suites.zoo:CHECKED", "tests.suites.zoo:CHECKED is 15; give an Implementation"),
        ("tests.suites.contestants:time", "takes a BitLinear; it has tests.suites.contestants:Float, "),
        ("tests.suites.contestants:TwoSizes", "missing a required argument: 'out_features'"),
    ],
)
def test_a_worker_says_in_one_line_why_it_cannot_have_one(worker: WorkerProcess, name: str, why_not: str) -> None:
    """The command line hands on what it is told, as of what cannot be imported."""
    answer = worker.ask(Find(name), 60.0)
    assert answer.outcome == "failed"
    assert why_not in answer.reason
    assert "\n" not in answer.reason


def test_the_example_of_the_docs_has_all_properties_and_runs_from_a_folder_that_is_not_installed(
    tmp_path: Path,
) -> None:
    text = (ROOT / "docs" / "how-to" / "your-own.md").read_text()
    (code,) = (block.partition("```")[0] for block in text.split("```python\n")[1:])
    (tmp_path / "mykernels.py").write_text(code)
    done = check_in(tmp_path, "mykernels:MyLinear", "--scheme", "w1.58a8", "--format", "json")
    assert done.returncode == 0, done.stdout
    told = json.loads(done.stdout)
    assert told["exit_code"] == 0
    assert {one["name"]: one["sentence"] for one in told["properties"]} == SENTENCES
    assert {one["outcome"] for one in told["properties"]} == {"measured"}
    assert all(one["examples"] for one in told["properties"])
    (tmp_path / "mykernels.py").write_text(code.replace("require_floating(x)", "pass"))
    careless = check_in(tmp_path, "mykernels:MyLinear", "--property", "wrong_dtype")
    (words,) = (line for line in text.splitlines() if line.startswith("wrong_dtype: "))
    assert (careless.returncode, words in careless.stdout) == (1, True)
