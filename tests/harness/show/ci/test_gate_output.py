"""What a gate leaves behind: whole, bounded, in words, safe from names, and never of another gate."""

import re
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
from markdown_it import MarkdownIt

from harness import cli
from harness.analysis.intervals import Comparison, Summary
from harness.errors import StoreError
from harness.judge.judge import judge_runs
from harness.judge.policy import Policy
from harness.judge.verdict import Word
from harness.model import Case, StoredRun
from harness.model.codec import encode
from harness.model.metrics import METRICS
from harness.show.ci import FILES, github, write
from harness.show.ci.junit import document
from harness.show.ci.pull_request import MARKER, escaped, page
from harness.show.ci.verdict_file import VerdictFile, encoded, failed, read, told
from harness.show.verdict_words import ToldVerdict
from harness.store import load
from tests.harness.data import golden
from tests.harness.data.factories import make_case, make_record, make_records, make_run, write_run

HOSTILE = (
    "x` | @everyone <img src=x onerror=alert(1)></details> [a](https://evil.example) ![](//e) [b]: //e #12 GH-12"
    " **b** __i__ $x$ ~~s~~ \\| www.evil.example <!-- --> &lt; \r\n| a | b |\n# h\n\x00\x1b[31m\u202e::error::%0A"
)
RESULTS = Path(__file__).parents[4] / "results"
SETTINGS = ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT")


@pytest.fixture(autouse=True)
def _not_on_github(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)


def stored_runs() -> tuple[StoredRun, StoredRun]:
    head = make_records(tokens=(1,), slowdown={"int8": 1.3, "eager": 0.7, "linear-bf16": 1.04}, seed=1)
    head = [record for record in head if record.case.implementation != "bf16"]
    head += [make_record(make_case("brand-new"), 0, {"weight_bytes": 640})]
    return (
        StoredRun(make_run(run_id="base"), tuple(make_records(tokens=(1,)))),
        StoredRun(make_run(run_id="head"), tuple(head)),
    )


def verdict_of_runs(policy: Policy = "release") -> VerdictFile:
    base, head = stored_runs()
    judged = frozenset(metric.name for metric in METRICS.values() if not metric.informative)
    notes = ("2 of the 9 files that either side loaded differ: a.py, b.py",)
    return told(base, head, judge_runs(base, head, judged), policy, notes)


def made(*verdicts: ToldVerdict, policy: Policy = "release", **fields: object) -> VerdictFile:
    counts = Counter(one.word for one in verdicts)
    plain = {"exit_code": 1, "answer": "regressed", "headline": "regressed (exit code 1)", "counts": dict(counts)}
    return VerdictFile(**{**plain, "policy": policy, "verdicts": verdicts, **fields})  # type: ignore[arg-type]  # brevity


def verdict(word: Word = "regressed", ratio: float = 1.12, **params: object) -> ToldVerdict:
    summary = Summary("latency", 1.0, 0.9, 1.1, 0.95, 4)
    ratios = Comparison("latency", summary, summary, ratio, ratio - 0.02, ratio + 0.02, True)
    return ToldVerdict(
        Case.of("gate", "eager", params), "latency", word, comparison=ratios, reason=f"{ratio:g} because"
    )


def many(number: int, word: Word = "regressed") -> VerdictFile:
    return made(*(verdict(word, 1 + n / number, m=n) for n in range(1, number + 1)))


def hostile() -> VerdictFile:
    words: tuple[Word, ...] = ("regressed", "inconclusive", "incomparable", "not_measured", "new", "ok")
    rows = [
        ToldVerdict(Case(HOSTILE, HOSTILE, {HOSTILE: HOSTILE, "m": n}), HOSTILE, w, reason=HOSTILE)
        for n, w in enumerate(words)
    ]
    notes = {"notes": (HOSTILE,), "warnings": (HOSTILE,), "invalid": HOSTILE, "rules_in_words": (HOSTILE,)}
    return made(*rows, headline=HOSTILE, tolerated=HOSTILE, sentinels=tuple(rows[:1]), **notes)


def test_what_a_pull_request_and_a_test_report_say() -> None:
    found = verdict_of_runs()
    assert "+29.7 % [+26.0, +33.4]" in page(found)
    golden.check("verdict.md", page(found))
    golden.check("junit.xml", document(found).decode())


def test_verdict_json_reads_back_exactly(tmp_path: Path) -> None:
    for found in (verdict_of_runs(), failed("base is broken: no\nsuch \udcff", 2, "pr"), many(3)):
        path = tmp_path / "verdict.json"
        path.write_bytes(encoded(found))
        assert encode(read(path)) == encode(found)
    assert read(path).verdicts == found.verdicts or any(v.margin != v.margin for v in found.verdicts)


@pytest.mark.parametrize("path", sorted(RESULTS.rglob("verdict.json")), ids=lambda path: path.parent.name)
def test_verdict_files_from_before_verdicts_had_fields_are_read_and_shown(path: Path) -> None:
    older = read(path)
    assert older.verdicts
    assert all(one.reason for one in older.judged)
    graves = [one for one in older.judged if one.word == "regressed"]
    assert all(escaped(one.reason) in page(older) for one in graves)


def test_a_verdict_has_fields_for_programs_and_one_sentence_for_people() -> None:
    rows = msgspec.json.decode(encoded(verdict_of_runs()))["verdicts"]
    slow = next(row for row in rows if row["word"] == "regressed")
    assert slow["change"]["centre"] == pytest.approx(slow["comparison"]["ratio"] - 1)
    assert slow["change"]["lo"] < slow["change"]["centre"] < slow["change"]["hi"]
    assert (slow["note"]["code"], slow["cure"]) == ("beyond_margin", None)
    assert slow["reason"] == "+29.7 % [+26.0, +33.4]; the margin is 3 %"
    missing = next(row for row in rows if row["word"] == "not_measured")
    assert (missing["note"]["code"], missing["note"]["side"], missing["change"]) == ("no_case", "head", None)
    assert missing["reason"] == "head has no such case"


def test_a_gate_of_turns_reads_back_with_its_looks_and_rounds(tmp_path: Path) -> None:
    base, head = (
        StoredRun(msgspec.structs.replace(run.run, pair="g"), run.records, run.warnings) for run in stored_runs()
    )
    found = told(base, head, judge_runs(base, head, {"latency"}), "pr")
    assert any(one.log_ratios for one in found.verdicts)
    (tmp_path / "verdict.json").write_bytes(encoded(found))
    assert encode(read(tmp_path / "verdict.json")) == encode(found)


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"schema": 2}', b'{"schema": 1, "exit_code": "0"}', b"\xff"])
def test_what_is_no_verdict_is_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "verdict.json"
    path.write_bytes(content)
    with pytest.raises(StoreError) as error:
        read(path)
    assert "\n" not in str(error.value)


def seen_rows(text: str) -> list[str]:
    return [line for line in text.partition("<details>")[0].splitlines() if line.startswith("| ")][2:]


@pytest.mark.parametrize("number", [1, 10, 11, 10_000])
def test_ten_rows_are_seen_and_the_rest_is_folded_and_counted(number: int) -> None:
    text = page(many(number))
    assert text.startswith(f"{MARKER}\n### bitbench gate: regressed")
    assert len(text) < 60_000
    assert len(seen_rows(text)) == min(number, 10)
    assert "2 because" in seen_rows(text)[0], "the largest change first"
    shown = text.count("| regressed |")
    left_out = re.search(r"([\d,]+) rows are left out", text)
    assert shown + (int(left_out[1].replace(",", "")) if left_out else 0) == number
    assert text.count("<details>") == text.count("</details>") == (number > 10)


@pytest.mark.parametrize("room", [0, 50, 100, 500, 1_000, 5_000, 59_999])
def test_a_page_fits_into_any_room(room: int) -> None:
    for found in (many(300), hostile(), verdict_of_runs()):
        text = page(found, room)
        assert len(text.encode()) <= room
        assert text.count("<details>") == text.count("</details>")
        assert not text or text.startswith(MARKER)


@pytest.mark.parametrize("sign", ["@", "|", "\N{GRINNING FACE}", "\n"])
def test_a_page_is_always_written(sign: str) -> None:
    long = sign * 100_000
    row = ToldVerdict(Case(long, long, {"m": 1}), long, "regressed", reason=long)
    text = page(made(*[row] * 20, headline=long, invalid=long, tolerated=long, notes=(long,) * 50))
    assert text.startswith(MARKER)
    assert len(text.encode()) < 60_000


def test_names_break_nothing_and_mention_nobody() -> None:
    text = page(hostile())
    assert text.isprintable() or {c for c in text if not c.isprintable()} == {"\n"}
    assert not re.search(r"@\w|(?<!&)#\d|https?://|www\.|GH-\d|\]\(|\]:|[`$~]", text.replace("`verdict.json`", ""))
    assert set(re.findall(r"<[^>]*>", text)) <= {MARKER, "<details>", "</details>", "<summary>", "</summary>"}
    html = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(text)
    kinds = {"h3", "p", "br", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "details", "summary"}
    assert set(re.findall(r"</?(\w+)", html)) == kinds - {"br"}
    assert html.count("<td>") == 5 * 6
    assert html.count("</details>") == 2


def test_plain_words_stay_as_they_are() -> None:
    for words in ("+12.0 % [+9.8, +14.1]; the margin is 3 %", "weight_bytes, resident_bytes", "scheme=w1.58a8"):
        assert escaped(words) == words


def test_names_leave_valid_xml_and_single_lines_for_github(tmp_path: Path) -> None:
    root = ElementTree.fromstring(document(hostile()))
    assert (len(root), root.get("tests")) == (2, "8")
    for line in github.annotations(hostile()):
        assert re.fullmatch(r"::(error|warning|notice) title=[^:,\r\n]*::[^\r\n]*", line)
    github.add_outputs(tmp_path / "out", hostile(), None)
    assert set(outputs(tmp_path / "out")) == {"exit-code", "verdict", "headline", "regressed", "directory"}


def outputs(path: Path) -> dict[str, str]:
    """As GitHub reads them."""
    found = {}
    lines = iter(path.read_text().split("\n")[:-1])
    for line in lines:
        name, _, end = line.partition("<<")
        found[name] = "\n".join(iter(lambda end=end: next(lines), end))  # type: ignore[misc]  # bound at once
    return found


@pytest.mark.parametrize(
    ("word", "release", "pr"),
    [
        ("regressed", "failure", "failure"),
        ("not_measured", "failure", "failure"),
        ("inconclusive", "failure", "skipped"),
        ("incomparable", "failure", "skipped"),
        ("improved", "system-out", "system-out"),
        ("new", "system-out", "system-out"),
        ("ok", "system-out", "system-out"),
    ],
)
def test_words_as_test_results(word: Word, release: str, pr: str) -> None:
    policies: tuple[Policy, Policy] = ("release", "pr")
    for policy, expected in zip(policies, (release, pr), strict=True):
        root = ElementTree.fromstring(document(made(verdict(word), policy=policy)))
        (case,) = root.findall("testsuite[@name='gate']/testcase")
        assert [element.tag for element in case] == [expected]


def test_annotations_are_few_and_the_gravest_come_first() -> None:
    found = github.annotations(many(10_000))
    assert len(found) == 6
    assert found[0] == "::error title=bitbench gate::regressed (exit code 1)"
    assert found[1] == "::error title=regressed%3A eager m=10000 latency::2 because"
    (only,) = github.annotations(made(verdict("ok"), exit_code=0, headline="ok: 100 %\nof it"))
    assert only == "::notice title=bitbench gate::ok: 100 %25%0Aof it"


@pytest.mark.parametrize("taken", [0, 1, 2**20 - 2_000, 2**20 - 10, 2**20 + 10])
def test_the_summary_stays_below_the_limit(tmp_path: Path, taken: int) -> None:
    path = tmp_path / "summary"
    path.write_bytes(b"." * taken)
    github.add_summary(path, many(10_000))
    assert path.stat().st_size < max(2**20, taken + 2)
    assert (MARKER in path.read_text()) == (taken <= 2**20 - 2_000)


def gate(*arguments: object) -> int:
    return cli.main(["gate", *map(str, arguments)])


@pytest.fixture
def two_runs(tmp_path: Path) -> tuple[Path, Path]:
    sides = zip(("base", "head"), stored_runs(), strict=True)
    base, head = (write_run(tmp_path / name, one.run, one.records) for name, one in sides)
    return base, head


def test_stored_runs_leave_files_only_where_they_are_asked_for(
    two_runs: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = set(tmp_path.rglob("*"))
    assert gate(*two_runs) == 1
    assert set(tmp_path.rglob("*")) == before
    for name in SETTINGS:
        monkeypatch.setenv(name, "true" if name == "GITHUB_ACTIONS" else str(tmp_path / name))
    capsys.readouterr()
    assert gate(*two_runs, "--out", tmp_path / "new" / "gate", "--format", "csv") == 1
    assert {path.name for path in (tmp_path / "new" / "gate").iterdir()} == set(FILES)
    assert read(tmp_path / "new" / "gate" / "verdict.json").answer == "regressed"
    said = capsys.readouterr()
    assert said.err.count("::error") == 5
    assert "::" not in said.out
    known = outputs(tmp_path / "GITHUB_OUTPUT")
    assert (known["exit-code"], known["verdict"], known["regressed"]) == ("1", "regressed", "2")
    assert (tmp_path / "GITHUB_STEP_SUMMARY").read_text().startswith(MARKER)


def test_an_error_leaves_itself_where_no_verdict_is(
    two_runs: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "gate"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    assert gate(two_runs[0], tmp_path / "none", "--out", out) == 2
    page_of_error = (out / "verdict.md").read_text()
    assert page_of_error.startswith(f"{MARKER}\n### bitbench gate: no verdict (exit code 2): cannot read ")
    assert page_of_error == (tmp_path / "summary").read_text()
    assert len(page_of_error.splitlines()) == 2
    assert read(out / "verdict.json").answer == outputs(tmp_path / "output")["verdict"] == "error"
    assert ElementTree.fromstring((out / "junit.xml").read_bytes()).get("errors") == "1"
    assert gate(*two_runs, "--out", out) == 1
    assert read(out / "verdict.json").answer == "regressed", "an error is no verdict, and one takes its place"


@pytest.mark.parametrize(("option", "value"), [("--axis", "m"), ("--metric", "speed"), ("--budget", "soon")])
def test_an_option_that_is_wrong_leaves_its_error_too(option: str, value: str, tmp_path: Path) -> None:
    assert gate("quick", "--base", "HEAD", option, value, "--out", tmp_path) == 2
    assert repr(value) in (tmp_path / "verdict.md").read_text()


@pytest.mark.parametrize("content", ["", "of another version"])
def test_an_earlier_verdict_stays_whatever_ends_a_gate(
    two_runs: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    content: str,
) -> None:
    out = tmp_path / "gate"
    write(made(verdict("ok"), exit_code=0, headline="ok"), out)
    if content:
        (out / "verdict.json").write_text(content)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    errors: tuple[tuple[BaseException, int], ...] = (
        (RuntimeError("bug"), cli.INTERNAL_ERROR),
        (KeyboardInterrupt(), 130),
    )
    for error, code in errors:

        def ends(*_: object, error: BaseException = error) -> None:
            raise error

        with monkeypatch.context() as midway:
            midway.setattr("harness.commands.gate.load", ends)
            assert gate(*two_runs, "--out", out) == code
    refused = (
        (two_runs[0], tmp_path / "none"),
        (*two_runs, "--metric", "nonsense"),
        ("--base", "HEAD"),
        ("--base", "HEAD", "nonsense"),
    )
    for words in refused:
        assert gate(*words, "--out", out) == 2
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert outputs(tmp_path / "output")["verdict"] == "error"


def test_a_directory_that_holds_a_gate_is_refused_before_anything_is_measured(
    two_runs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gate("--base", "HEAD", "--out", tmp_path) == 2
    assert "holds a gate already: go on with it by --resume" in capsys.readouterr().err
    out = tmp_path / "gate"
    write(made(verdict("ok"), exit_code=0, headline="ok"), out)
    assert gate("--base", "HEAD", "--out", out) == 2
    assert "holds the verdict of an earlier gate: choose another --out" in capsys.readouterr().err


def test_words_that_are_no_two_runs_are_told_what_is_meant(
    two_runs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, meant in (
        ((two_runs[0], two_runs[0]), "is given twice, and a run does not differ from itself"),
        ((two_runs[0], f"{tmp_path}/head/../base"), "is given twice"),
        (
            (tmp_path,),
            f"is the directory of a gate: judge it once more by `bitbench gate {tmp_path}/base {tmp_path}/head`",
        ),
        ((tmp_path, two_runs[0]), f"is the directory of a gate, which holds two runs: give {tmp_path}/base or"),
        (("quick",), "quick is a suite: add --base REV"),
        (("quick", "latency"), "quick is a suite: add --base REV"),
        ((two_runs[0],), f"given {two_runs[0]}: give two stored runs"),
        ((), "given nothing: give two stored runs"),
        (("--base", "HEAD", tmp_path), f"--base measures suites now, and {tmp_path} is a path"),
    ):
        assert gate(*words) == 2
        error = capsys.readouterr().err
        assert meant in error
        assert error.count("\n") == 1


def test_where_nothing_can_be_written_the_first_error_is_told(
    two_runs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert gate(*two_runs, "--out", tmp_path / "file" / "gate") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "cannot write" in error
    assert load(two_runs[0]).records
