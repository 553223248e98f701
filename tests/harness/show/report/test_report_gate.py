"""The page of a gate: the verdict first, what is wrong before what is not, and all else folded."""

import re

import msgspec
import pytest

from harness.cli import main
from harness.model.rules import Rules
from harness.show.plots.forest import forest
from harness.show.report.gates import gates_of
from harness.store.runs import load
from tests.harness.data.factories import ONE_SHAPE, make_case, make_record, make_records, write_run
from tests.harness.data.pairs import steady, write_gate
from tests.harness.fakes.html_page import Page

pytestmark = pytest.mark.usefixtures("few_figures")

EVIL = "<script>alert(1)</script> $x^2$ & 'q'"


def gate_report(folder, ratios, *arguments, **changes):
    gate = write_gate(folder / "gate", ratios, **changes)
    assert main(["report", str(gate), "-o", str(folder / "report.html"), *arguments]) == 0
    return (folder / "report.html").read_text("utf-8")


def test_a_gate_has_its_verdict_its_figure_and_its_table(tmp_path):
    ratios = {"slow": steady(1.2, 9), EVIL: steady(1.0, 9)}
    text = gate_report(tmp_path, ratios, sentinel=steady(1.0, 9), head_bytes=641)
    seen = Page(text)

    assert "exit code 1): 5 regressed" in seen.text  # a latency, the mean, and the bytes of all three
    section = text[text.index('<section id="gate">') : text.index('<section id="answers">')]
    drawing = section[section.index("<svg") : section.index("</svg>")]
    for words in (
        "regressed",
        "+20.0 % [+19.5, +20.5]",
        "geometric mean",
        "the same code on both sides:",
        "linear-fp32",
    ):
        assert words in drawing
    assert "currentColor" in drawing
    assert "alert(1)&lt;/script&gt; $x^2$ &amp; " in drawing
    assert len(seen.all("script")) == 2
    parts = section[section.index("<tbody>") :].split("<details>")
    reds, rest = (re.findall(r"<tr[> ].*", part) for part in parts[:2])
    assert len(reds) == 2 + 3
    assert re.search(r"✗ regressed<td class=\"w\">slow.*<td>\+20\.0<td>\+19\.5<td>\+20\.5", reds[0])
    assert all("✗ regressed" in row for row in reds)
    assert "alert(1)" in rest[1]
    assert "linear-fp32" in rest[-1]


def test_a_gate_is_judged_by_the_rules_and_reported_the_same_again(tmp_path):
    ratios = {"slow": steady(1.2, 9), "same": steady(1.0, 9)}
    first, again, lax = (tmp_path / name for name in ("first", "again", "lax"))
    assert gate_report(first, ratios) == gate_report(again, ratios)
    assert "<title>✓ Gate passed: 3 rows ok" in gate_report(lax, {"slow": ratios["slow"]}, "--margin", "50%")


def test_a_gate_on_a_machine_that_moved_says_so(tmp_path):
    text = Page(gate_report(tmp_path, {"a": [1.0] * 9, "b": steady(1.0, 9)}, sentinel=steady(1.2, 9))).text
    assert text.startswith("? Gate without a verdict: the machine moved while it was measured")
    assert "latency of linear-fp32, whose code is the same on both sides, changed by +20.0 % [" in text


def test_a_gate_of_many_cases_draws_the_gravest(tmp_path):
    ratios = {f"same{number}": steady(1.0, 4) for number in range(64)} | {"last": steady(0.5, 4)}
    gate = write_gate(tmp_path, ratios)
    (part,) = gates_of([load(gate / "head"), load(gate / "base")], Rules())

    assert [change.word for change in part.cases[:2]] == ["improved", "ok"]
    figure = forest(part.cases, part.sentinels, part.mean).figure
    assert "Drawn: 60 of 65 cases, the gravest first." in figure.get_label()
    assert len(figure.axes[0].get_yticklabels()) == 60 + 2


def test_what_a_gate_lacks_is_left_out_or_said(tmp_path):
    for name, rounds in (("one", 1), ("two", 2)):
        text = gate_report(tmp_path / name, {"new": steady(1.0, rounds)})
        assert "<title>✗ Gate failed: 1 of 3 rows were not measured" in text
        assert "geometric mean" not in text[text.index('id="gate"') : text.index('id="answers"')]
    run = write_run(tmp_path / "run", records=make_records(**ONE_SHAPE))
    assert main(["report", str(run), str(tmp_path / "one" / "gate" / "head"), "-o", str(tmp_path / "r.html")]) == 0
    assert 'id="gate"' not in (tmp_path / "r.html").read_text("utf-8")
    exact = write_gate(tmp_path / "exact", {"a": []})
    for side in ("base", "head"):
        stored = msgspec.structs.replace(load(exact / side).run)
        write_run(exact / side, stored, [make_record(values={"weight_bytes": 640})])
    assert main(["report", str(exact), "-o", str(tmp_path / "exact.html")]) == 0
    assert "no latency was measured on both sides" in (tmp_path / "exact.html").read_text("utf-8")


def first_screen(text):
    """What a reader meets before the figure: heading, findings, counts."""
    return Page(text[: text.index("<svg") if "<svg" in text else text.index("<table")]).text


def exact_gate(folder, base, head, **params):
    """A gate without latencies, of one contestant whose metrics are `base` and became `head`."""
    gate = write_gate(folder / "gate", {"fastbit": []})
    for side, values in (("base", base), ("head", head)):
        stored = msgspec.structs.replace(load(gate / side).run)
        write_run(gate / side, stored, [make_record(make_case("fastbit", **params), values=values)])
    assert main(["report", str(gate), "-o", str(folder / "report.html")]) == 0
    return (folder / "report.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("metric", "base", "head", "words"),
    [
        ("peak_forward_bytes", 12 * 1024, 16 * 1024, "needs 33 % more peak memory (12 to 16 KiB)"),
        ("weight_bytes", 900 * 1024, 3 * 2**20, "stores 3.4× the bytes (900 KiB to 3 MiB)"),
        ("resident_bytes", 2_508_000, 2_512_000, "keeps 0.16 % more memory (2.39 to 2.40 MiB)"),
        ("error_sqnr", 8.0, 7.5, "loses 0.50 dB of accuracy (8.00 to 7.50 dB)"),
        ("peak_forward_bytes", 0, 1024, "needs more peak memory (0 B to 1 KiB)"),
        ("error_cosine", 0.99, 0.9, "has another error cosine (0.99 to 0.9)"),
    ],
)
def test_a_failed_gate_says_in_its_title_what_became_worse_and_by_how_much(metric, base, head, words, tmp_path):
    text = exact_gate(tmp_path, {metric: base}, {metric: head})
    assert f"<title>✗ Gate failed: fastbit {words}</title>" in text
    assert f'<h1 class="bad"><span aria-hidden="true">✗</span> Gate failed: fastbit {words}</h1>' in text
    assert f"✗ regressed fastbit {words}" in first_screen(text)


def test_what_failed_is_told_once_for_all_its_metrics_and_a_title_stays_short(tmp_path):
    values = {"weight_bytes": 640.0, "error_sqnr": 8.0, "resident_bytes": 640.0}
    reason = f"RuntimeError: {'far too long ' * 20}"
    sentences = {}
    for wrong in (True, False):
        gate = write_gate(tmp_path / str(wrong), {"a": []})
        ended = make_record(make_case("a"), reason=reason, outcome="failed")
        disagreement = make_record(make_case("a"), values={"agreement_sqnr": 1.0}).measurements
        ended = msgspec.structs.replace(ended, measurements=disagreement if wrong else ())
        for side, record in (("base", make_record(make_case("a"), values=values)), ("head", ended)):
            write_run(gate / side, load(gate / side).run, [record])
        (part,) = gates_of([load(gate / "head"), load(gate / "base")], Rules())
        sentences[wrong] = [one.sentence for one in part.findings]
        assert len(part.headline.words) <= 120
    assert sentences[True] == [f"a gives a wrong answer: {reason}"]
    (missing,) = sentences[False]
    assert missing.startswith("a was not measured: head failed in round 1: RuntimeError")


def test_a_gate_that_is_not_decided_says_so_and_why(tmp_path):
    unsure = [1.0 + (0.2 if turn % 2 else -0.1) for turn in range(9)]
    text = Page(gate_report(tmp_path, {"a": unsure, "b": steady(1.0, 9)})).text
    assert text.startswith("? Gate undecided: 2 of 7 rows are inconclusive")
    assert re.search(r"\? inconclusive a changed by \+2.3 % \[.*see bitbench env --check , or allow it more", text)


def test_what_is_wrong_comes_first_in_figure_and_table_and_the_rest_is_folded(tmp_path):
    unsure = [1.0 + (0.2 if turn % 2 else -0.1) for turn in range(9)]
    ratios = {f"unsure{number}": unsure for number in range(3)} | {"red": steady(1.2, 9)}
    text = gate_report(tmp_path, ratios)
    (part,) = gates_of([load(tmp_path / "gate" / "head"), load(tmp_path / "gate" / "base")], Rules())

    assert part.cases[0].name == "red"
    assert part.findings[0].sentence == "red is 20 % slower (1.00 to 1.20 ms)"
    assert part.sheet.blocks[0][0].cells[:2] == ["✗ regressed", "red"]
    assert {row.cells[0] for block in part.rest.blocks for row in block} <= {"ok"}
    fold = text.index('<details class="sides">')
    assert text.index('<section id="gate">') < text.index('<section id="machine">') < fold
    assert fold < text.index('<section id="answers">') < text.index('<section id="tables">')


def test_bytes_that_regressed_are_drawn_before_latencies_that_did_not(tmp_path):
    gate = write_gate(tmp_path / "gate", {"a": steady(1.0, 9)}, head_bytes=800)
    (part,) = gates_of([load(gate / "head"), load(gate / "base")], Rules())
    figure = forest(part.cases, part.sentinels, part.mean).figure
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names[:2] == ["a, weight bytes", "a"]
    assert "+25.0 %" in [text.get_text() for text in figure.axes[0].texts], "what is exact has no interval"


def test_no_two_rows_of_a_figure_have_the_same_name(tmp_path):
    """A sentinel of another suite has the params of a case, and a long name differs at its end."""
    gate = write_gate(tmp_path / "gate", {"a": steady(1.0, 9)}, sentinel=steady(1.0, 9))
    for side in ("base", "head"):
        stored = load(gate / side)
        others = [make_record(make_case("linear-fp32", "sentinel"), turn, {"latency": 1e-3}) for turn in range(9)]
        write_run(gate / side, stored.run, [*stored.records, *others])
    (part,) = gates_of([load(gate / "head"), load(gate / "base")], Rules())
    names = [change.name for change in part.sentinels]
    assert names == ["linear-fp32 (quick)", "linear-fp32 (sentinel)"]

    far = [part.sentinels[0]._replace(name=f"{'x' * 99} m={m}") for m in (1, 2)]
    labels = [label.get_text() for label in forest(far).figure.axes[0].get_yticklabels()]
    assert len(set(labels)) == 2


def test_how_small_a_slowdown_may_pass_is_not_told_as_one_that_was_found(tmp_path):
    text = Page(gate_report(tmp_path, {"a": steady(1.0, 9), "b": steady(1.0, 9)})).text
    assert "would have been found" not in text
    assert re.search(r"sensitivity \d+\.\d % \(a smaller slowdown of one case may pass unseen\)", text)


def test_a_page_of_a_gate_and_other_runs_folds_nothing(tmp_path):
    gate = write_gate(tmp_path / "gate", {"a": steady(1.0, 9)})
    run = write_run(tmp_path / "run", records=make_records(**ONE_SHAPE))
    assert main(["report", str(gate), str(run), "-o", str(tmp_path / "report.html")]) == 0
    assert '<details class="sides">' not in (tmp_path / "report.html").read_text("utf-8")
