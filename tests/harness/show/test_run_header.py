"""The rules of a run in words, which are made of its numbers where they are shown."""

import msgspec

from harness.analysis.convergence import declared
from harness.model import Aim, Rules, RunRules, StoredRun
from harness.model.stored_run import Extension
from harness.show.run_header import describe_extensions, describe_machine, describe_rules
from tests.harness.data.factories import make_environment, make_run

AIMS = {"quick": Aim("linear-bf16", 0.02, 9), "error": Aim(rounds=1), "scaling": Aim(rounds=3)}
RUN = msgspec.structs.replace(make_run(aims=AIMS), rules=declared())
LATER = {"quick": Aim("linear-bf16", 0.01, 20, extended=True)}


def make_extension(when: str, aims: dict[str, Aim], words: tuple[str, ...] = ()) -> Extension:
    return Extension(extended=when, request=RUN.request, aims=aims, rounds={}, revision=RUN.revision, words=words)


def test_the_rules_are_told_by_their_numbers() -> None:
    quick, *others, voiding = describe_rules(StoredRun(RUN, ()))
    assert quick == (
        "quick: a contestant is done at the look (after 4, 6, 9 rounds) at which the 95 % interval of its latency over"
        " linear-bf16 is at most 2 % wide to either side"
    )
    assert others == ["error: 1 round", "scaling: 3 rounds"]
    other = msgspec.structs.replace(RUN, rules=RunRules(looks=(2, 5), confidence=0.9, disturbed=3.0, most_voided=0.25))
    quick, *_, elsewhere = describe_rules(StoredRun(other, ()))
    assert "after 2, 5, 9 rounds) at which the 90 % interval" in quick
    assert (" 2 times the median" in voiding, " 3 times the median" in elsewhere) == (True, True)
    assert "more than 25 % of" in elsewhere


def test_a_gate_is_told_by_what_it_tolerates_and_an_older_run_by_its_own_sentences() -> None:
    gate = msgspec.structs.replace(RUN, rules=declared(Rules(margin=0.07, tolerances={"error_sqnr": 0.5})))
    words = describe_rules(StoredRun(gate, ()))
    assert any("slower than 7 %" in line for line in words)
    assert "error_sqnr: a difference of 0.5 is tolerated" in words
    assert not any(line.startswith("quick") for line in words)
    older = msgspec.structs.replace(RUN, rules=RunRules(words=("it ends when it ends",)))
    assert describe_rules(StoredRun(older, ())) == ["it ends when it ends"]


def test_an_extension_tells_its_aims_where_they_are_others_than_before() -> None:
    extensions = (make_extension("A", AIMS), make_extension("B", LATER), make_extension("C", LATER))
    stored = StoredRun(msgspec.structs.replace(RUN, aims=LATER), (), extensions=extensions, begun=RUN)
    code, aim, again = describe_extensions(stored)
    assert (code, again) == tuple(f"extended {n}: gone on with by other code or another budget" for n in "AC")
    assert aim.startswith("extended B: quick: a contestant is done at the look (after 4, 6, 9, 14, 20 rounds)")
    first, *_, last = describe_rules(stored)
    assert "at most 2 % wide" in first
    assert last.startswith("from B on: quick: ")
    assert "at most 1 % wide" in last
    older = (make_extension("A", LATER, ("quick: until 1 %",)),)
    stored = StoredRun(msgspec.structs.replace(RUN, aims=LATER), (), extensions=older, begun=RUN)
    assert describe_extensions(stored) == ["extended A: quick: until 1 %"]


def test_which_machine_of_its_kind_it_was_is_told_and_what_its_variables_may_have_changed() -> None:
    at = make_environment(machine="3f9a1c2207b4d5e6", labels={"rack": "3"}, variables={"OMP_NUM_THREADS": "1"})
    assert describe_machine(make_run(environment=at)).endswith("; rack=3; machine 3f9a1c2207b4d5e6; load 0.25")
    (doubt,) = StoredRun(make_run(environment=at), ()).doubts
    assert doubt.startswith("measured with OMP_NUM_THREADS=1: ")
    assert StoredRun(make_run(), ()).doubts == ()
