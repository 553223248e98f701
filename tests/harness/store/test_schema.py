"""Lines read back exactly or not at all, whichever version wrote them."""

import json
import math
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.model import SCHEMA_VERSION, Record, RunRules
from harness.model.codec import LineError, decode, encode
from harness.model.record import late
from harness.store.schema import MIGRATIONS, Content, parse
from tests.harness.data.factories import make_case, make_record, make_run

GOLDEN = Path(__file__).parents[1] / "data" / "golden_runs"
RECORD = encode(make_record(values={"latency": 1.0}))


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION + 1))
def test_every_schema_version_has_a_golden_file_that_loads_with_the_same_values(version: int) -> None:
    """A new version of the schema needs its own file here, and a migration from the one before."""
    path = GOLDEN / f"schema-{version}.jsonl"
    said = [json.loads(line) for line in path.read_text().splitlines()]
    content = parse(path.read_bytes(), path)
    read = [json.loads(encode(line)) for line in (content.run, *content.records)]
    assert content.version == version
    assert content.run.schema == SCHEMA_VERSION
    assert {line["outcome"] for line in said[1:]} >= {"measured", "skipped", "failed", "crashed"}
    for before, after in zip(said, read, strict=True):
        assert_says_the_same(as_written_now(before, version), after)


def as_written_now(line: dict[str, Any], version: int) -> dict[str, Any]:
    """Written apart from the migrations: what an earlier version said, as this one says it."""
    said = {**line, "schema": SCHEMA_VERSION} if "schema" in line else line
    if version == 1 and "noise" in said:
        said = {**said, "noise": {name: [value] for name, value in said["noise"].items()}}
    if version < 5 and "rules" in said:
        said = {**said, "rules": {"words": said["rules"]}}
    if version < 5 and "case" in said and said["case"]["implementation"].startswith("linear-"):
        said = {**said, "facts": {**said["facts"], "role": "baseline"}}
    return said


def lifted(*records: bytes, head: str = "run", pair: str = "") -> Content:
    """What schema 4 wrote, as it reads now."""
    lines = [line.replace(b'"late":false,', b"").replace(b',"late":false', b"") for line in records]
    run = encode(msgspec.structs.replace(make_run(run_id=head), pair=pair, schema=4))
    old = json.loads(run)
    old = {name: value for name, value in old.items() if name != "side"} | {"rules": ["red: slower than 3 %"]}
    return parse(b"\n".join([json.dumps(old).encode(), *lines, b""]), Path("run.jsonl"))


def test_what_was_told_by_names_and_sentences_is_a_fact_when_it_is_read() -> None:
    """Roles by names, late records by their reason, sides by the end of an id: no later reader looks at those."""
    names = ("linear-fp16", "linear-mine", "nn.Linear", "eager")
    plain = [msgspec.structs.replace(make_record(make_case(name), values={"latency": 1.0}), facts={}) for name in names]
    plain[2] = msgspec.structs.replace(plain[2], facts={"sentinel": 1, "operations": 2})
    out_of_time = late(make_case("int8"), 5.0, {})
    skipped = make_record(make_case("bf16"), reason="it has no time")
    content = lifted(*map(encode, (*plain, out_of_time, skipped)))
    assert [record.role for record in content.records] == [
        *("baseline", "contestant", "sentinel", "contestant", "contestant", "contestant"),
    ]
    assert content.records[2].facts == {"operations": 2, "role": "sentinel"}
    assert [record.late for record in content.records] == [*[False] * 4, True, False]
    assert content.run.rules == RunRules(words=("red: slower than 3 %",))
    sides = [
        lifted(head=f"g{end}", pair=pair).run.side for end, pair in (("-base", "g"), ("-head", "g"), ("-head", ""))
    ]
    assert sides == ["base", "head", ""]


def assert_says_the_same(said: Any, read: Any) -> None:
    if isinstance(said, dict):
        for key in said:
            assert_says_the_same(said[key], read[key])
    elif isinstance(said, list):
        assert len(said) == len(read)
        for one, other in zip(said, read, strict=True):
            assert_says_the_same(one, other)
    else:
        assert (said, type(said)) == (read, type(read))


def test_every_step_between_versions_has_a_migration() -> None:
    assert set(MIGRATIONS) == set(range(1, SCHEMA_VERSION))


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        (b"[1.0]", b'["1e3"]'),
        (b"[1.0]", b'["Infinity"]'),
        (b"[1.0]", b"[9007199254740993]"),
        (b'"round":0', b'"round":"0"'),
        (b'"round":0', b'"round":0.0'),
        (b'"round":0', b'"round":0,"round":1'),
        (b'"timed":', b'"timid":'),
        (b'"duration":1.0', b'"duration":-1.0'),
        (b'"duration":1.0', b'"duration":"nan"'),
        (b'"duration":1.0', b'"duration":"inf"'),
        (b'"iterations":10', b'"iterations":0'),
        (b'"blocks":[]', b'"blocks":[-1]'),
    ],
)
def test_a_value_that_would_change_by_being_read_is_refused(was: bytes, becomes: bytes) -> None:
    assert decode(RECORD, Record) == make_record(values={"latency": 1.0})
    assert was in RECORD
    with pytest.raises(LineError):
        decode(RECORD.replace(was, becomes), Record)


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        (b'"blocks":[]', b'"blocks":[1,2]'),
        (b"[1.0]", b"[-1.0]"),
        (b'"measurements":[', b'"measurements":[{"metric":"latency","values":[2.0]},'),
    ],
)
def test_a_record_that_cannot_be_is_an_error(was: bytes, becomes: bytes) -> None:
    assert was in RECORD
    data = b"\n".join([encode(make_run()), RECORD.replace(was, becomes), b""])
    with pytest.raises(Exception, match=r"line 2 is corrupt \((1 values|a negative latency|the metric latency twice)"):
        parse(data, Path("run.jsonl"))


def test_truths_are_no_numbers() -> None:
    with pytest.raises(LineError, match="dirty says 1, which would be read as True"):
        decode(encode(make_run()).replace(b'"dirty":false', b'"dirty":1'), type(make_run()))


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 5e-324, 0.1 + 0.2, 1e22, -0.0])
def test_every_number_comes_back_as_it_went(value: float) -> None:
    (back,) = decode(encode(make_record(values={"error_sqnr": value})), Record).values("error_sqnr")
    assert repr(back) == repr(value)


def test_text_that_is_no_unicode_is_written_as_its_escape() -> None:
    """Whatever made a record did not ask where its words came from: a system's, a file's name, the environment."""
    record = make_record(reason="no \udcff", outcome="failed", facts={"f\ud800": "v\udcff"}, warnings=["\udcff"])
    back = decode(encode(record), Record)
    assert (back.reason, back.facts, back.warnings) == (r"no \udcff", {r"f\ud800": r"v\udcff"}, (r"\udcff",))
    assert decode(encode(back), Record) == back
