"""Every contestant of the zoo is rejected or exposed with the right words, and no honest one is."""

import gc
from collections.abc import Iterator, Sequence

import pytest
import torch

from bitlinear.implementations import IMPLEMENTATIONS
from bitlinear.scheme import Scheme
from harness.model import Case
from harness.model.messages import Accuracy, Answer, Memory, Prepare, Probe, Question, Release, Time
from harness.model.suite import Registry
from harness.runner.process import WorkerLostError, WorkerProcess
from harness.worker.ceilings import cache_sizes
from harness.worker.collector import settle_collector
from harness.worker.server import Worker
from suites.workloads.layer.ring import UNKNOWN

ZOO = "tests.suites.zoo:"
VISITS = 8


def case(name: str, **params: object) -> Case:
    layer = {"m": 3, "k": 64, "n": 48, "scheme": "w1.58a8", "dtype": "float32", "device": "cpu", "threads": 1}
    return Case.of("latency", name, {**layer, **params})


def questions(of: Case, *, probed: bool = False) -> Sequence[Question]:
    """All that is asked about a case in a first round."""
    if probed:
        return [Probe(of, 7)]
    return [Prepare(of, 7), Accuracy(of, ("agreement_sqnr",)), Memory(of, 7), *[Time(of, 32, 2)] * VISITS, Release()]


def answers(worker: Worker, of: Case, *, probed: bool = False) -> Iterator[Answer]:
    for question in questions(of, probed=probed):
        answer = worker.answer(question)
        assert isinstance(answer, Answer)
        yield answer
        if answer.outcome != "measured":
            return


def said(found: Sequence[Answer]) -> str:
    """Reasons and warnings together."""
    return " | ".join(words for answer in found for words in (answer.reason, *answer.warnings) if words)


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    yield Worker(Registry.load("suites"))
    gc.unfreeze()
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision(precision)


@pytest.fixture(autouse=True)
def _settled() -> None:
    """A worker collects garbage for every question: among what a case makes, not among all that was imported here."""
    settle_collector()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("CachedOutput", "wrong answer: relative error"),
        ("AliasOfLastOutput", "returned the memory of an earlier output"),
        ("MemoOnPointer", "wrong answer: relative error"),
        ("SkipsTokens", "wrong answer: relative error"),
        ("SkipsTokensLater", "in a timed call"),
        ("TruncatesK", "wrong answer: relative error"),
        ("Uninitialised", "wrong answer: "),
        ("UninitialisedLater", "in a timed call"),
        ("Lazy", "returned a LazyTensor, not a plain tensor"),
        ("OnAnotherThread", "wrong answer: relative error"),
        ("KeepsComputing", "kept computing on another thread after its call had returned"),
        ("ModifiesInput", "changed its input"),
        ("ReturnsInput", "returned the memory of its input"),
        ("ModifiesWeights", "changed its weights in a timed call"),
        ("ReplacesWeights", "changed its weights in a timed call"),
        ("PatchesClock", "replaced time.perf_counter"),
        ("PatchesHarness", "replaced the clock of cpu.now"),
        ("PatchesLoop", "replaced harness.worker.visit.WallClock.elapsed"),
        ("PatchesTorch", "replaced torch.nn.functional.linear"),
        ("HidesMethod", "replaced torch.Tensor.isfinite"),
        ("SleepsInBaseline", "replaced bitlinear.engines.plain.PlainLinear.forward"),
        ("HooksEverybody", "changed the hooks of all modules"),
        ("TakesThreads", "changed the number of threads"),
        ("LowersPrecision", "changed the precision of float32 products"),
        ("LowersPrecisionAnew", "changed the precision of float32 products"),
        ("ChangesDtype", "changed the default dtype"),
        ("WrongForManyTokens", "wrong answer: relative error"),
        ("OtherDtype", "dtype torch.bfloat16, expected the input's torch.float32"),
        ("OtherShape", "shape (144,), expected (3, 48)"),
        ("NoTensor", "returned a list, not a plain tensor"),
        ("Random", "wrong answer: relative error"),
        ("RaisesLater", "RuntimeError: out of luck"),
        ("SystemExits", "SystemExit: 3"),
    ],
)
def test_a_cheat_is_rejected_with_its_reason(worker: Worker, name: str, reason: str) -> None:
    found = list(answers(worker, case(ZOO + name)))
    assert found[-1].outcome == "failed"
    assert reason in found[-1].reason
    assert not found[-1].values.get("latency")


@pytest.mark.parametrize(
    ("name", "warning"),
    [
        ("Irreproducible", "two calls on one input differ by"),
        ("RaisesInDel", "raised RuntimeError where none can be caught, in RaisesInDel.__del__"),
        ("CompilesAgain", "CompilesAgain: it was compiled again after its first call"),
    ],
)
def test_what_is_right_but_doubtful_is_measured_with_a_warning(worker: Worker, name: str, warning: str) -> None:
    found = list(answers(worker, case(ZOO + name)))
    assert found[-1].outcome == "measured"
    assert warning in said(found)


def test_a_graph_in_pieces_is_told(worker: Worker) -> None:
    found = list(answers(worker, case(ZOO + "BreaksItsGraph")))
    assert found[-1].outcome == "measured"
    assert found[0].values["graphs"] == (2.0,)
    assert found[0].values["graph_breaks"] == (1.0,)
    assert "BreaksItsGraph: its graph is broken 1x (" in said(found)
    assert "BreaksItsGraph: its first call compiled 2 graphs; for one shape one is enough" in said(found)


@pytest.mark.parametrize(
    ("name", "warning"),
    [
        ("KeepsFloatCopy", "claims 8 bits a weight and keeps 40: 512 KiB are alive besides the 128 KiB"),
        ("KeepsNumpyCopy", "keeps more than it says: 512 KiB are alive besides the 4 B"),
    ],
)
def test_what_keeps_more_than_it_claims_says_so_in_its_row(worker: Worker, name: str, warning: str) -> None:
    found = list(answers(worker, case(ZOO + name, n=512, k=256)))
    assert found[-1].outcome == "measured"
    assert warning in said(found)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("closure", "a function has no buffers to be counted; return an nn.Module instead, and keep its tensors"),
        ("KeepsNumpyCopy", "the 4 bytes of its buffers and parameters cannot hold 131072 weights; keep its tensors"),
    ],
)
def test_weights_that_cannot_be_counted_have_no_size(worker: Worker, name: str, why: str) -> None:
    """And not the smallest of all."""
    found = list(answers(worker, case(ZOO + name, n=512, k=256)))
    assert found[-1].outcome == "measured"
    assert f"how many bytes it stores is unknown: {why} as buffers or parameters of an nn.Module" in said(found)
    assert not {"weight_bytes", "code_bytes", "bits_per_weight"} & {key for answer in found for key in answer.values}
    cold = worker.answer(Prepare(case(ZOO + name, n=512, k=256, cache="stream"), 7))
    assert isinstance(cold, Answer)
    assert cold.reason.startswith("ValueError: cache=stream needs weights that can be counted: ")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("WrongForManyTokens", "in a trial with M=3 K=97 N=5"),
        ("WrongForOneToken", "in a trial with M=3 K=97 N=5"),
        ("WrongAtOddK", "in a trial with M=3 K=97 N=5"),
        ("NaNForOutliers", "values are NaN or infinite; in a trial"),
        ("OnlyOnChange", "times faster on inputs it has seen"),
        ("MemoOnContent", "times faster on inputs it has seen"),
    ],
)
def test_what_is_right_where_it_is_measured_is_found_elsewhere(worker: Worker, name: str, reason: str) -> None:
    measured = case(ZOO + name, m=3 if name == "WrongForOneToken" else 1)
    assert said(list(answers(worker, measured))) == ""
    (probed,) = answers(worker, measured, probed=True)
    assert probed.outcome == "failed"
    assert reason in probed.reason


def test_what_refuses_a_shape_is_not_wrong_there(worker: Worker) -> None:
    (probed,) = answers(worker, case(ZOO + "Refuses"), probed=True)
    assert probed.outcome == "measured"
    assert "refuses M=3 K=97 N=5: in_features must be a multiple of 64" in said([probed])


def honest() -> Iterator[tuple[str, str, str]]:
    """Each one with every cache, each with one of two schemes: every pair of name, scheme and cache."""
    every = (one for one in IMPLEMENTATIONS if one.name != "compiled")
    for i, one in enumerate(every):
        offered = [
            scheme
            for scheme in ("w1.58a8", "w4a8g2-nonorm")
            if not one.why_not(scheme=Scheme.parse(scheme), device="cpu", dtype=torch.float32)
        ]
        for j, cache in enumerate(("hot", "cold", "stream") if offered else ()):
            yield one.name, offered[(i + j) % len(offered)], cache


@pytest.mark.parametrize(("name", "scheme", "cache"), honest())
def test_no_honest_one_is_rejected(
    worker: Worker, name: str, scheme: str, cache: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    caches = sum(cache_sizes("cpu", 1)) or UNKNOWN
    monkeypatch.setattr("suites.workloads.layer.ring.CACHES", (32 << 10) / caches)  # 32 KiB, whatever the machine has
    found = list(answers(worker, case(name, scheme=scheme, cache=cache)))
    assert found[-1].outcome == "measured"
    assert said(found) == ""


def test_luck_beside_neighbours_is_not_taken_for_a_memory(worker: Worker) -> None:
    (probed,) = answers(worker, case(ZOO + "WaitsForACore"), probed=True)
    assert (probed.outcome, said([probed])) == ("measured", "")


@pytest.mark.parametrize("name", ["compiled", ZOO + "Honest"])
def test_neither_is_one_that_compiles_or_one_of_the_user_s(worker: Worker, name: str) -> None:
    honest = case(name, m=1)
    found = [*answers(worker, honest), *answers(worker, honest, probed=True)]
    assert {answer.outcome for answer in found} == {"measured"}
    assert said(found) == ""
    compiles = {metric: found[0].values.get(metric) for metric in ("graphs", "graph_breaks")}
    once, never = {"graphs": (1.0,), "graph_breaks": (0.0,)}, {"graphs": None, "graph_breaks": None}
    assert compiles == (once if name == "compiled" else never)


def test_what_would_end_or_mislead_a_worker_is_told_by_a_real_one() -> None:
    process = WorkerProcess("suites")
    process.describe()
    for name, reason in [
        ("Prints", ""),
        ("ClosesStdin", ""),
        ("Forks", "left a process behind"),
        ("LeavesProcess", "left a process behind"),
        ("OverridesKernel", "registered another kernel for aten::linear"),
        ("Honest", ""),
    ]:
        found = []
        for question in questions(case(ZOO + name)):
            found.append(process.ask(question, 20.0))
            if found[-1].outcome != "measured":
                break
        assert reason in said(found)
        assert (found[-1].outcome == "failed") == bool(reason), name
    with pytest.raises(WorkerLostError, match="exited with status 3"):
        process.ask(Prepare(case(ZOO + "Exits"), 7), 20.0)
    process.close()
