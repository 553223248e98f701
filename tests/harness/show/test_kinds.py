"""Runs of many machines: who is the fastest on each kind, and never how many times faster than on another."""

from collections.abc import Mapping

from harness.model import StoredRun
from harness.show.kinds import sentences
from tests.harness.data.factories import make_environment, make_records, make_run


def run_on(cpu: str, machine: str, slowdown: Mapping[str, float]) -> StoredRun:
    at = make_environment(cpu_model=cpu, machine=machine)
    return StoredRun(
        make_run(run_id=f"run-{machine}", environment=at), tuple(make_records(slowdown=slowdown, troubles=False))
    )


def test_a_kind_has_one_sentence_and_what_differs_between_kinds_comes_first() -> None:
    slow = {"int8": 50.0, "eager": 50.0}
    runs = [run_on("EPYC", "aa", {}), run_on("Graviton", "cc", slow), run_on("EPYC", "bb", {})]
    first, *kinds = sentences(runs)
    assert first == "the answer depends on the kind of machine: int8 on EPYC, compiled on Graviton"
    assert [line.partition("; ")[0] for line in kinds] == ["EPYC", "Graviton"]
    assert kinds[0].endswith("(2 machines): the fastest of 8 contests is int8 in 8")
    assert kinds[1].endswith("(1 machine): the fastest of 4 contests is compiled in 4")


def test_where_kinds_agree_or_nothing_is_timed_no_more_is_said() -> None:
    assert len(sentences([run_on("EPYC", "aa", {}), run_on("Graviton", "cc", {})])) == 2
    assert sentences([StoredRun(make_run(), ())]) == []
