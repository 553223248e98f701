"""A run that goes on by another plan: what may change, what is written down, and what that makes of its numbers."""

import shutil
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from harness import store
from harness.analysis.convergence import advice, convergence, declared
from harness.analysis.results import results
from harness.analysis.view import View
from harness.errors import StoreError, UsageError
from harness.estimators.looks import LOOKED_AT
from harness.model import Aim, Request, Revision
from harness.model.codec import encode
from harness.model.record import late
from harness.model.stored_run import MARK, MAY_CHANGE, Extension, extended_aims, request_to_go_on_by, rounds_made
from harness.show.results import page
from harness.show.table import render
from tests.harness.data.factories import make_case, make_record, make_run, write_run
from tests.harness.fakes.killable_runs import finish, start, turns, wait_for
from tests.harness.fakes.steadfast import WORDS

BEGUN = msgspec.structs.replace(make_run(rounds=4, aims={"quick": Aim("linear-bf16", 0.05, 4)}), rules=declared())
OTHERS: dict[str, object] = {
    "implementations": ("eager",),
    "axes": {"m": (1, 8)},
    "keyword": "eager",
    "device": "cuda",
    "threads": 3,
    "full": True,
    "metrics": ("latency",),
    "case_limit": 7.0,
    "memory_limit": 2.0**30,
    "seed": 5,
    "package": "mine.suites",
    "models": ("llama-3-8b",),
}


def make_extension(**changes: object) -> Extension:
    fields: dict[str, object] = {
        "extended": "2026-01-03T00:00:00Z",
        "request": Request(suites=("quick",), precision=0.02),
        "aims": {"quick": Aim("linear-bf16", 0.02, 20, extended=True)},
        "rounds": {},
        "revision": BEGUN.revision,
        **changes,
    }
    return Extension(**fields)  # type: ignore[arg-type]  # a test builder: the fields are checked by msgspec on reading


def test_what_is_measured_cannot_change_and_every_such_option_is_refused_by_name() -> None:
    assert set(Request.__struct_fields__) == {"suites", *OTHERS, *MAY_CHANGE}
    for field, value in OTHERS.items():
        asked = msgspec.structs.replace(BEGUN.request, **{field: value})
        with pytest.raises(UsageError, match=f"--{field} cannot change what was begun: the run has .*begin a new run"):
            request_to_go_on_by(BEGUN, asked, {field: f"--{field}"})
        same = msgspec.structs.replace(BEGUN, request=asked)
        assert request_to_go_on_by(same, asked, {field: f"--{field}"}) == asked, "the same again is no change"


@pytest.mark.parametrize(
    ("given", "becomes"),
    [
        ({"precision": 0.02}, {"precision": 0.02, "rounds": 0}),
        ({"rounds": 12}, {"precision": 0.0, "rounds": 12}),
        ({"precision": 0.02, "rounds": 12}, {"precision": 0.02, "rounds": 12}),
        ({"budget": 60.0}, {"precision": 0.0, "rounds": 4, "budget": 60.0}),
        ({}, {"precision": 0.0, "rounds": 4}),
    ],
)
def test_rounds_and_precision_mean_what_they_mean_in_a_new_run(
    given: dict[str, float], becomes: dict[str, float]
) -> None:
    asked = Request(suites=("quick",), **given)  # type: ignore[arg-type]  # by name
    found = request_to_go_on_by(BEGUN, asked, {field: f"--{field}" for field in given})
    assert found == msgspec.structs.replace(BEGUN.request, **becomes)


def test_less_than_there_is_is_refused_and_more_is_marked_as_chosen_in_sight_of_results() -> None:
    made = {"quick": 4}
    for aim, words in [
        (Aim("linear-bf16", 0.1, 20), "--precision 10%: quick is measured to 5% already; give that or less"),
        (Aim("linear-bf16", 0.0, 3), "--rounds 3: quick has 4 already; give that or more"),
    ]:
        with pytest.raises(UsageError) as refused:
            extended_aims(BEGUN.aims, {"quick": aim}, made)
        assert str(refused.value) == words
    same = extended_aims(BEGUN.aims, dict(BEGUN.aims), made)
    assert same == BEGUN.aims
    (more,) = extended_aims(BEGUN.aims, {"quick": Aim("linear-bf16", 0.02, 12)}, made).values()
    assert more == Aim("linear-bf16", 0.02, 12, extended=True)
    assert extended_aims({"quick": more}, {"quick": Aim("linear-bf16", 0.02, 12)}, made) == {"quick": more}


def test_the_file_says_in_order_what_was_declared_and_the_run_reads_as_after_the_last(tmp_path: Path) -> None:
    records = [make_record(round=number, values={"latency": 1e-3}) for number in range(5)]
    before = write_run(tmp_path, BEGUN, records[:4]).joinpath(store.FILE_NAME).read_bytes()
    extension = make_extension(rounds=rounds_made(records[:4]))
    stored, writer = store.reopen(tmp_path)
    assert stored.run == BEGUN
    with writer:
        writer.extend(extension)
        writer.append(records[4])
    after = store.load(tmp_path)
    assert (tmp_path / store.FILE_NAME).read_bytes().startswith(before)
    assert (after.records, after.extensions, after.warnings) == (tuple(records), (extension,), ())
    assert (after.run.aims, after.run.request) == (extension.aims, extension.request)
    assert (after.run.rules, after.begun) == (BEGUN.rules, BEGUN)
    assert extension.rounds == {records[0].case.contest: 4}
    words = "extended 2026-01-03T00:00:00Z: quick: a contestant is done at the look (after 4, 6, 9, 14, 20 rounds)"
    assert words in " ".join(render(page(View.of(after)), "text").split())


def test_an_extension_that_is_cut_off_anywhere_was_never_made(tmp_path: Path) -> None:
    path = write_run(tmp_path, BEGUN, [make_record(values={"latency": 1e-3})]) / store.FILE_NAME
    before, line = path.read_bytes(), encode(make_extension())
    assert line.startswith(MARK)
    for end in range(1, len(line), 7):
        path.write_bytes(before + line[:end])
        assert store.load(tmp_path).run == BEGUN
        store.resume(tmp_path)[2].close()
        assert path.read_bytes() == before
    path.write_bytes(before + line.replace(b'"rounds":{}', b'"rounds":3') + b"\n")
    with pytest.raises(StoreError, match="line 3 is corrupt"):
        store.load(tmp_path)


def test_rounds_of_other_code_are_told(tmp_path: Path) -> None:
    path = write_run(tmp_path, BEGUN, []) / store.FILE_NAME
    other = make_extension(revision=Revision("1234567890", True))
    path.write_bytes(path.read_bytes() + encode(other) + b"\n")
    (warning,) = store.load(tmp_path).warnings
    assert warning == "begun at abcdef0 and gone on with at 1234567 with changes: its rounds are not all of one code"


def test_rounds_that_were_added_in_sight_of_results_count_as_looks() -> None:
    records = [make_record(round=number, values={"latency": 1e-3 * (1 + number % 3)}) for number in range(9)]

    def width(aim: Aim) -> float:
        (result,) = results(records, {"quick": aim}).values()
        (summary,) = (result.summary(metric.name) for metric in result.metrics)
        assert summary
        return summary.hi

    fixed, extended, planned = (Aim(rounds=9), Aim(rounds=9, extended=True), Aim("", 0.02, 9))
    assert width(fixed) < width(extended) == width(planned)
    assert LOOKED_AT > 0.95


def test_a_case_that_there_was_no_time_for_was_not_measured_again(tmp_path: Path) -> None:
    case = make_case()
    first = make_record(case, values={"latency": 1e-3})
    write_run(tmp_path, BEGUN, [late(case, 5.0, {}), first])
    stored = store.load(tmp_path)
    assert (stored.records, stored.warnings) == ((first,), ())
    write_run(tmp_path / "again", BEGUN, [first, first])
    assert "1 records were measured again" in store.load(tmp_path / "again").warnings[0]


def test_the_advice_is_the_command_that_goes_on_from_here() -> None:
    aim = Aim("linear-fp32", 0.02, 4)
    records = [
        make_record(make_case(name), round=number, values={"latency": 1e-3 * (1 + spread * (number % 2))})
        for name, spread in (("linear-fp32", 0.0), ("eager", 0.04))
        for number in range(4)
    ]
    found = convergence(results(records, {"quick": aim}).values())
    assert "`bitbench run --resume --out DIR --precision 2% --rounds " in advice(found.values(), aim)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    parent = tmp_path_factory.mktemp("extended")
    process = start("swift", parent / "log", *WORDS, "--out", str(parent / "run"))
    finish(process)
    assert process.returncode == 0
    return parent / "run"


@pytest.mark.parametrize("lines", [0, 1, 5, 20])
def test_an_extension_that_is_killed_at_any_line_loses_nothing(lines: int, finished: Path, tmp_path: Path) -> None:
    """Killed after it has written so many lines of its own, and then given again."""
    out, log = tmp_path / "run", tmp_path / "log"
    shutil.copytree(finished, out)
    path = out / store.FILE_NAME
    before = path.read_bytes()
    words = ("--resume", "--out", str(out), "--rounds", "4")
    process = start("swift", log, *words)
    while path.read_bytes().count(b"\n") < before.count(b"\n") + lines and process.poll() is None:
        wait_for(path, process)
    process.kill()
    finish(process)
    assert path.read_bytes().startswith(before)
    there = path.read_bytes()
    again = start("swift", log, *words)
    finish(again)
    assert again.returncode == 0
    assert path.read_bytes().startswith(there[: there.rindex(b"\n") + 1])
    stored = store.load(out)
    assert (len(stored.extensions), stored.warnings) == (1, ())
    rounds = Counter(name for name, _ in turns(out))
    assert set(rounds.values()) == {1, 4}, "what cannot run here is skipped once"
    assert len(turns(out)) == len(set(turns(out)))


def test_what_is_refused_changes_nothing_on_the_disk(finished: Path, tmp_path: Path) -> None:
    side = tmp_path / "side"
    store.create(side, msgspec.structs.replace(store.load(finished).run, pair="a gate")).close()
    before = [(place / store.FILE_NAME).read_bytes() for place in (finished, side)]
    for place, words, said in [
        (finished, ("--seed", "5"), "--seed cannot change what was begun: the run has seed 0"),
        (finished, ("--rounds", "1"), "--rounds 1: steadfast has 2 already"),
        (finished, ("--rounds", "9", "--dry-run"), ""),
        (side, (), "is a side of a gate; go on with that by `bitbench gate --resume`"),
    ]:
        process = start("swift", tmp_path / "log", "--resume", "--out", str(place), *words)
        assert said in finish(process)
        assert process.returncode == (2 if said else 0)
    assert [(place / store.FILE_NAME).read_bytes() for place in (finished, side)] == before
