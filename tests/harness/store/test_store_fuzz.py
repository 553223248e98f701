"""Record files with whatever may befall bytes: they load with exactly what they say, or end in one line of an error."""

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness import store
from harness.commands.show import render
from harness.errors import BitbenchError, StoreError
from harness.model import SCHEMA_VERSION, Case, Record, StoredRun
from harness.model.codec import encode
from harness.store.schema import Content, parse

GOLDEN = [
    (Path(__file__).parents[1] / "data" / "golden_runs" / f"schema-{version}.jsonl").read_bytes() for version in (1, 2)
]
PATH = Path("run.jsonl")

VALUES: list[bytes] = [
    *(
        b"true",
        b"false",
        b"null",
        b"0",
        b"1",
        b"2",
        b"-1",
        b"-0",
        b"1.5",
        b"5.0",
        b"1e3",
        b"-1e-9",
        b"5e-324",
        b"1e400",
    ),
    *(
        b"9007199254740993",
        b"18446744073709551616",
        b"-1" + b"0" * 40,
        b"9" * 400,
        b"9" * 5000,
        b"1" + b"0" * 300 + b".5",
    ),
    *(b"NaN", b"Infinity", b"-Infinity", b"inf", b'"nan"', b'"inf"', b'"-inf"', b'"NaN"', b'"Infinity"', b'"+inf"'),
    *(b'"1"', b'"1e3"', b'"true"', b'""', b'"\\ud800"', b'"\\udc00x"', b'"\\n"', b'"\xff"', b'"a\x00b"', b'"\xc3\xa9"'),
    *(b"[]", b"{}", b"[[1.0]]", b"[1.0,2]", b'{"a":1}', b'{"a":1,"a":2}', b"[" * 3000, b"[" * 900 + b"]" * 900),
    b'{"a":' * 5000 + b"1" + b"}" * 5000,
]
"""What may stand in the place of a value."""


def places(line: bytes) -> list[tuple[int, int]]:
    """Where numbers, strings, names and the innermost lists of a line of JSON begin and end."""
    found = []
    at = 0
    while at < len(line):
        end = at + 1
        if line[at : at + 1] == b'"':
            end = line.find(b'"', end) + 1 or len(line)
        elif line[at] in b"-0123456789":
            while end < len(line) and line[end] in b"+-.eE0123456789":
                end += 1
        elif line[at : at + 1] == b"[" and (close := line.find(b"]", at)) >= 0 and line.find(b"[", end, close) < 0:
            found.append((at, close + 1))
        if end > at + 1 or line[at] in b"0123456789":
            found.append((at, end))
        at = end
    return found


@st.composite
def mutations(draw: st.DrawFn) -> bytes:
    """A record file after one to three mishaps."""
    data = draw(st.sampled_from(GOLDEN))
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
        data = draw(st.sampled_from(MISHAPS))(draw, data)
    return data


def between(draw: st.DrawFn, last: int) -> int:
    return draw(st.integers(0, max(0, last)))


def flip(draw: st.DrawFn, data: bytes) -> bytes:
    at = between(draw, len(data) - 1)
    return data[:at] + bytes([draw(st.integers(0, 255))]) + data[at + 1 :]


def digit(draw: st.DrawFn, data: bytes) -> bytes:
    """One digit becomes another sign that numbers are made of."""
    digits = [at for at, byte in enumerate(data) if byte in b"0123456789"]
    at = digits[between(draw, len(digits) - 1)] if digits else 0
    return data[:at] + bytes([draw(st.sampled_from(list(b"0123456789-.e")))]) + data[at + 1 :]


def cut(draw: st.DrawFn, data: bytes) -> bytes:
    at = between(draw, len(data))
    return data[:at] + data[at + draw(st.sampled_from([1, 2, 10, 500, len(data)])) :]


def double(draw: st.DrawFn, data: bytes) -> bytes:
    at, to = between(draw, len(data)), between(draw, len(data))
    return data[:to] + data[at : at + draw(st.sampled_from([1, 5, 50, 1000]))] + data[to:]


def end_early(draw: st.DrawFn, data: bytes) -> bytes:
    return data[: between(draw, len(data))]


def add_field(draw: st.DrawFn, data: bytes) -> bytes:
    """One more field in some object: one that nobody knows, or one that is there already."""
    braces = [at for at, byte in enumerate(data) if byte in b"{"]
    at = braces[between(draw, len(braces) - 1)] + 1 if braces else 0
    name = draw(st.sampled_from([b"unknown", b"round", b"values", b"noise", b"iterations", b"m", b"schema", b"\\n"]))
    return data[:at] + b'"%s":%s,' % (name, draw(st.sampled_from(VALUES))) + data[at:]


def insert(draw: st.DrawFn, data: bytes) -> bytes:
    at = between(draw, len(data))
    return data[:at] + draw(st.sampled_from(VALUES) | st.binary(max_size=8)) + data[at:]


def swap_lines(draw: st.DrawFn, data: bytes) -> bytes:
    lines = data.split(b"\n")
    one, other = between(draw, len(lines) - 1), between(draw, len(lines) - 1)
    lines[one], lines[other] = lines[other], lines[one]
    return b"\n".join(lines)


def repeat_line(draw: st.DrawFn, data: bytes) -> bytes:
    lines = data.split(b"\n")
    lines.insert(between(draw, len(lines)), lines[between(draw, len(lines) - 1)])
    return b"\n".join(lines)


def replace(draw: st.DrawFn, data: bytes) -> bytes:
    lines = data.split(b"\n")
    number = between(draw, len(lines) - 1)
    if found := places(lines[number]):
        start, end = found[between(draw, len(found) - 1)]
        lines[number] = lines[number][:start] + draw(st.sampled_from(VALUES)) + lines[number][end:]
    return b"\n".join(lines)


def reversion(draw: st.DrawFn, data: bytes) -> bytes:
    version = draw(st.sampled_from([b"0", b"1", b"2", b"3", b"-1", b"1e0", b'"2"', b"true", b"999999999999999999999"]))
    return data.replace(b'{"schema":1', b'{"schema":' + version).replace(b'{"schema":2', b'{"schema":' + version)


MISHAPS: list[Callable[[st.DrawFn, bytes], bytes]] = [
    *(flip, digit, cut, end_early, double, insert, swap_lines, repeat_line, reversion),
    *(replace, replace, replace, add_field, add_field),
]


def check(data: bytes) -> Content | None:
    """Load `data` and hold what was read against what its lines say, as another parser understands them."""
    try:
        content = parse(data, PATH)
    except StoreError as error:
        assert_one_line(error)
        return None
    lines = data[: content.whole].rstrip(b"\n").split(b"\n")
    assert_same(json.loads(lines[0], object_pairs_hook=once), json.loads(encode(content.run)), content.version)
    said = {}
    for line in lines[1:]:
        message = json.loads(line.decode(), object_pairs_hook=once)
        case = Case(**message["case"])
        said[case.name, message["round"]] = message
    read = {(record.case.name, record.round): record for record in content.records}
    assert said.keys() == read.keys()
    for turn, message in said.items():
        assert_same(message, json.loads(encode(read[turn])), content.version)
        assert_possible(read[turn])
    assert all("\n" not in warning for warning in content.warnings)
    return content


def assert_one_line(error: BitbenchError) -> None:
    assert "\n" not in str(error)


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len(dict(pairs)) == len(pairs), "a field twice"
    return dict(pairs)


def assert_same(said: Any, read: Any, version: int, name: str = "") -> None:
    if version == 1 and name == "noise":
        said = {key: [value] for key, value in said.items()}
    if version < 5 and name == "rules":
        said = {"words": said}
    if isinstance(said, dict):
        for key in said:
            if key != "schema":
                assert_same(said[key], read[key], version, key if not name else f"{name}.{key}")
    elif isinstance(said, list):
        assert len(said) == len(read)
        for one, other in zip(said, read, strict=True):
            assert_same(one, other, version, f"{name}[]")
    else:
        assert said == read
        assert type(said) is type(read) or (type(said), type(read)) == (int, float)


def assert_possible(record: Record) -> None:
    assert record.round >= 0
    assert (record.outcome == "measured") == (not record.reason)
    assert all(0 <= seconds < math.inf for seconds in (record.duration, record.timed))
    assert all(m.iterations >= 1 and len(m.blocks) in (0, len(m.values)) for m in record.measurements)
    assert not any(value < 0 for value in record.values("latency"))
    names = [m.metric for m in record.measurements]
    assert len(names) == len(set(names))


def check_and_show(data: bytes) -> None:
    if content := check(data):
        try:
            render(StoredRun(content.run, content.records, content.warnings))
        except BitbenchError as error:
            assert_one_line(error)


many = settings(suppress_health_check=list(HealthCheck), max_examples=500)


@many
@given(mutations())
def test_a_damaged_file_says_what_it_says_or_is_an_error(data: bytes) -> None:
    check_and_show(data)


@pytest.mark.slow
@settings(many, max_examples=20_000)
@given(mutations())
def test_a_damaged_file_says_what_it_says_or_is_an_error_20000_times(data: bytes) -> None:
    check_and_show(data)


@settings(many, max_examples=100)
@given(mutations())
def test_a_damaged_file_is_gone_on_with_or_left_as_it_is(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    directory = tmp_path_factory.mktemp("run")
    path = directory / store.FILE_NAME
    path.write_bytes(data)
    content = check(data)
    if content is None or content.version != SCHEMA_VERSION:
        with pytest.raises(StoreError):
            store.resume(directory)
        assert path.read_bytes() == data
        return
    _, records, writer = store.resume(directory)
    writer.close()
    again = store.load(directory)
    assert encode(records) == encode(again.records) == encode(content.records)
    assert not any("cut off" in warning for warning in again.warnings)


def test_most_mishaps_are_seen() -> None:
    """The files are damaged enough to be refused, and not so much that nothing is ever read."""
    outcomes = set()

    @settings(many, max_examples=100)
    @given(mutations())
    def note(data: bytes) -> None:
        outcomes.add(check(data) is not None)

    note()
    assert outcomes == {True, False}


def whole_values() -> Iterator[tuple[bytes, bytes]]:
    line = GOLDEN[1].split(b"\n")[1]
    for start, end in places(line):
        for value in VALUES:
            yield line[:start], value + line[end:]


@pytest.mark.slow
def test_every_value_in_every_place() -> None:
    header = GOLDEN[1].split(b"\n")[0]
    for before, after in whole_values():
        check_and_show(b"\n".join([header, before + after, b""]))
