"""The report: three answers in words, everything in one file, nothing that depends on when or where it was made."""

import base64
import gzip
import io
import json
import re
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import msgspec
import pandas as pd
import pytest

from harness import frames
from harness.analysis.ranking import led
from harness.analysis.view import View
from harness.cli import main
from harness.errors import StoreError
from harness.model import StoredRun
from harness.model.metrics import METRICS
from harness.show import report
from harness.show.plots import PLOTS
from harness.show.report import data, page
from harness.show.report.answers import contest, schemes
from harness.show.report.terms import explained
from harness.store import FILE_NAME, load
from tests.harness.data.factories import (
    ONE_SHAPE,
    make_case,
    make_environment,
    make_error_records,
    make_record,
    make_records,
    make_run,
    write_run,
)
from tests.harness.fakes.html_page import Page


def view_of(records):
    return View.of(StoredRun(make_run(), tuple(records)), METRICS)


def answers_of(records):
    view = view_of(records)
    measured = [result for result in view.results if result.measured]
    return [spaced(answer) for answer in contest.answers(measured, view.ratios, view.baselines)]


def spaced(answer):
    """With spaces that break, to be easier to compare."""
    reasons = tuple(reason.replace("\N{NO-BREAK SPACE}", " ") for reason in answer.reasons)
    return replace(answer, amount=answer.amount.replace("\N{NO-BREAK SPACE}", " "), reasons=reasons)


def html_of(records, run=None, summary=None):
    (view,) = led([View.of(StoredRun(run or make_run(), tuple(records)), METRICS)])
    return page.render([view], dict, frames.summary(view) if summary is None else summary)


def timed(name, *seconds, **exact):
    """One record a round; exact metrics in the first."""
    return [
        make_record(make_case(name), turn, {"latency": value} | (exact if turn == 0 else {}))
        for turn, value in enumerate(seconds)
    ]


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    run = write_run(folder / "run", records=make_records(samples=3, tokens=(1,)))
    assert main(["report", str(run), "-o", str(folder / "report.html"), "--figures", str(folder / "figures")]) == 0
    return folder


def test_fastest_has_its_interval_its_gain_and_its_price():
    fastest, smallest, accurate = answers_of(make_records(**ONE_SHAPE, troubles=False))

    assert (fastest.verdict, smallest.verdict, accurate.verdict) == ("int8", "int8", "all alike, by w1.58a8")
    assert re.fullmatch(r"\d+ µs \[\d+ µs, \d+ µs\]", fastest.amount)
    assert re.search(r"2\.\d+ times \[2\.\d+, 2\.\d+\] as fast as linear-fp32", " ".join(fastest.reasons))
    assert "int8 stores 6.25 MiB (the smallest) and has an SQNR of 8.00 dB." in fastest.reasons
    assert "int8 takes" in smallest.reasons[0]
    assert any("No quantisation error at all costs" in reason for reason in accurate.reasons)
    assert any("Closest to the contract" in reason for reason in accurate.reasons)


def test_what_is_within_noise_is_undecided():
    records = timed("a", 2.00, 2.04, 1.96) + timed("b", 2.04, 2.00, 2.02) + timed("c", 4.0, 4.0, 4.0)
    fastest = answers_of(records)[0]

    assert fastest.verdict == "undecided between a and b"
    assert fastest.amount.startswith("a ahead with 2.00 s [")
    assert any(reason.startswith("b takes 1.01 times [0.9") for reason in fastest.reasons)


def test_one_round_decides_nothing():
    fastest = answers_of(timed("a", 1.0) + timed("b", 5.0))[0]
    assert fastest.verdict == "undecided between a and b"
    assert "b takes 5.00 times (no interval) as long." in fastest.reasons


def test_plain_linear_layers_are_baselines_and_no_answer():
    records = timed("linear-fp32", 1.0, 1.0, 1.0, weight_bytes=4) + timed("slow", 2.0, 2.0, 2.0, weight_bytes=8)
    fastest, smallest, _ = answers_of(records)
    assert (fastest.winners, smallest.winners) == (("slow",), ("slow",))
    assert fastest.rank == pytest.approx(0.5)
    alone = answers_of(timed("linear-fp32", 1.0, 1.0))
    assert [answer.verdict for answer in alone] == ["only linear-fp32", "not measured", "not measured"]


def test_some_bytes_more_or_no_rival_crown_nobody():
    records = timed("a", 1.0, 1.0, weight_bytes=100_000, error_sqnr=8.0) + timed("b", 2.0, 2.0, weight_bytes=100_004)
    fastest, smallest, accurate = answers_of(records)
    assert smallest.verdict == "a and b"
    assert accurate.verdict == "only a", "the only one whose error was measured is not the most accurate"
    assert fastest.winners == ("a",)
    alone = answers_of(timed("a", 1.0, 1.0, weight_bytes=8) + timed("linear-fp32", 2.0, 2.0, weight_bytes=9))
    assert [answer.verdict for answer in alone[:2]] == ["only a", "only a"]


def test_error_belongs_to_the_scheme_and_a_wide_miss_of_theory_is_flagged():
    (place, group), *_ = schemes.points(view_of(make_error_records(off=0.5)).results).items()
    assert place == "distribution gaussian"
    unmeasured, smallest, accurate = schemes.answers(group)
    assert (unmeasured.winners, smallest.winners) == ((), ("w1a4g16",))
    assert accurate.winners == ("w8a8g16",)
    assert "more than" not in " ".join(accurate.reasons)

    outlier = schemes.points(view_of(make_error_records(off=0.5)).results)["distribution outlier"]
    assert "54 of 54 schemes are more than 0.3 dB off what theory predicts." in schemes.answers(outlier)[2].reasons


def test_an_error_that_is_no_number_answers_nothing():
    text = Page(html_of([make_record(make_case(suite="error"), values={"error_sqnr": float("nan")})])).text
    assert "Most accurate not measured" in text


def test_the_page_reads_in_order_and_says_everything(quick):
    text = (quick / "report.html").read_text("utf-8")
    seen = Page(text)

    assert re.findall(r"<h2>(.*?)</h2>", text) == [
        "Answers", "Machine", "Decision", "Speed", "Accuracy", "Memory", "Noise", "Not measured", "Every number",
        "Method", "Data",
    ]  # fmt: skip
    for words in ("Example CPU 1000", "bitbench run quick", "SIGSEGV", "float16"):
        assert words in seen.text
    assert len(seen.all("svg")) == len(seen.all("figcaption")) >= 4
    assert "Roofline bitbench run latency measures the machine’s ceilings and then the calls." in seen.text
    assert re.search(r"2560 × 2560, w1.58a8 Use int8 : 1\.\d× faster than linear-bf16; 2× smaller", seen.text)
    assert (
        'bitlinear.replace_linear(model, "w1.58a8") # before training bitlinear.convert(model, "int8") #' in seen.text
    )
    levels = [int(tag[1]) for tag, _ in seen.elements if re.fullmatch("h[1-6]", tag)]
    assert all(below <= above + 1 for above, below in pairwise(levels))


def test_the_page_needs_nothing_from_outside_and_may_not_ask(quick):
    text = (quick / "report.html").read_text("utf-8")
    seen = Page(text)

    addresses = [a.get("href") or a.get("src") or a.get("xlink:href") for _, a in seen.elements]
    assert all(address[0] == "#" or address.startswith("data:") for address in addresses if address)
    assert not re.search(r"@import|url\((?!#)", text)
    policy = next(meta["content"] for meta in seen.all("meta") if "http-equiv" in meta)
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "script-src 'sha256-" in policy
    assert "script-src 'unsafe" not in policy


def test_names_and_reasons_are_text_whatever_they_say():
    evil = "<script>alert(1)</script>"
    records = [
        *timed(evil, 1.0, 1.0, 1.0, weight_bytes=3),
        make_record(make_case("b", scheme=evil), values={"latency": 1.0}),
        make_record(make_case("c"), reason=f'RuntimeError: {evil} & "more"'),
    ]
    text = html_of(records, msgspec.structs.replace(make_run(), argv=(evil,)))

    seen = Page(text)
    assert [a.get("type") for a in seen.all("script")] == ["application/json", None]
    assert seen.text.count("alert(1)") >= 5
    island = re.search(r'<script type="application/json" id="runs">(.*?)</script>', text)[1]
    assert json.loads(island)[0]["argv"] == [evil]
    assert 'RuntimeError: <script>alert(1)</script> & "more"' in seen.text


def test_warnings_come_before_the_machine():
    run = make_run(dirty=True, environment=make_environment(load_average=7.5))
    text = Page(html_of(make_records(**ONE_SHAPE, rounds=1), run)).text

    for words in ("uncommitted changes", "load average was 7.50", "one round: no interval"):
        assert -1 < text.find(words) < text.find("Example CPU 1000")


def test_measured_and_predicted_error_stand_side_by_side_and_a_miss_is_marked():
    text = html_of(make_error_records(off=0.5, weight_bits=("w1",), groups=(1, 4)))
    rows = [re.split(r"<t[dh][^>]*>", row)[1:] for row in re.findall(r"<tr><th scope=\"row\">reference.*", text)]

    assert len(rows) == 12
    flagged = [row for row in rows if row[1] == "! off prediction"]
    assert {row[3] for row in flagged} == {"outlier"}
    assert all(row[-1] == "−0.50" for row in flagged)


def test_more_contests_than_cards_become_rows_and_more_rows_than_fit_are_counted(monkeypatch):
    monkeypatch.setattr(page, "ROWS", 30)
    text = Page(html_of(make_records(**{**ONE_SHAPE, "tokens": range(1, 21)}, rounds=1, troubles=False))).text

    assert "Every contest, 10 of them" in text
    assert "10 rows are shown and 10 left out" in text
    assert "30 rows are shown and 70 left out" in text


def test_the_data_file_is_the_summary():
    records = make_records(**ONE_SHAPE)
    table, objects = unpacked(html_of(records))

    summary = frames.summary(StoredRun(make_run(), tuple(records)))
    for frame in (pd.read_csv(io.BytesIO(table)), pd.DataFrame(json.loads(objects))):
        assert list(frame["metric"]) == list(summary["metric"])
        assert list(frame["centre"].astype(float)) == pytest.approx(list(summary["centre"]))
    assert json.loads(objects)[0]["case"] == summary["case"][0]


def unpacked(text):
    """The contents of the files that lie in the page."""
    found = re.findall(r'download="[^"]+" href="data:application/gzip;base64,([^"]+)"', text)
    return [gzip.decompress(base64.b64decode(packed)) for packed in found]


def test_a_large_summary_is_thinned_to_whole_metrics_and_says_so(monkeypatch):
    records = make_records(**ONE_SHAPE)
    monkeypatch.setattr(data, "ROWS", 12)
    text = html_of(records)
    assert set(pd.read_csv(io.BytesIO(unpacked(text)[0]))["metric"]) == {"latency", "first_call"}
    assert "hold only latency, first_call of every case" in Page(text).text
    monkeypatch.setattr(data, "ROWS", 2)
    assert len(json.loads(unpacked(html_of(records))[1])) == 2


def test_unlike_machines_are_named():
    views = [
        View.of(StoredRun(make_run(run_id=cpu, environment=make_environment(cpu_model=cpu)), records), METRICS)
        for cpu, records in (("one", tuple(make_records(**ONE_SHAPE))), ("two", tuple(make_records(**ONE_SHAPE))))
    ]
    text = Page(page.render(views, dict, frames.summary(*views))).text
    assert "these runs come from unlike machines" in text
    assert "cpu_model: one vs two" in text


def test_the_same_records_give_the_same_bytes_wherever_they_lie(quick, tmp_path):
    run = write_run(tmp_path / "elsewhere", records=make_records(samples=3, tokens=(1,)))
    assert main(["report", str(run), "-o", str(tmp_path / "again.html")]) == 0
    assert (tmp_path / "again.html").read_bytes() == (quick / "report.html").read_bytes()


@pytest.mark.usefixtures("few_figures")
def test_a_cut_off_line_is_a_warning_without_a_path(tmp_path):
    run = write_run(tmp_path / "run", records=make_records(**ONE_SHAPE))
    file = run / FILE_NAME
    file.write_bytes(file.read_bytes()[:-40])
    assert main(["report", str(run), "-o", str(tmp_path / "report.html")]) == 0

    text = (tmp_path / "report.html").read_text("utf-8")
    assert "the last line is cut off" in text
    assert str(tmp_path) not in text


def test_figures_are_saved_alone(quick):
    files = {path.name for path in (quick / "figures").iterdir()}
    names = {name.partition(".")[0] for name in files}
    assert names >= {"speed-up", "memory", "timings"}
    assert files == {f"{name}.{kind}" for name in names for kind in ("png", "svg")}


@pytest.mark.usefixtures("few_figures")
@pytest.mark.parametrize("target", ["missing/report.html", ".", "file/report.html"])
def test_what_cannot_be_written_is_one_line_and_leaves_nothing(target, tmp_path, capsys):
    run = write_run(tmp_path / "run", records=make_records(**ONE_SHAPE, rounds=1))
    (tmp_path / "file").write_text("in the way")
    before = sorted(tmp_path.iterdir())

    assert main(["report", str(run), "-o", str(tmp_path / target)]) == StoreError.exit_code
    error = capsys.readouterr().err
    assert error.startswith("bitbench: cannot write")
    assert error.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


def test_nothing_measured_is_no_report(tmp_path, capsys):
    run = write_run(tmp_path / "run", records=[make_record(reason="cannot run here")])
    assert main(["report", str(run), "-o", str(tmp_path / "report.html")]) == 5
    assert "nothing was measured" in capsys.readouterr().err
    assert not (tmp_path / "report.html").exists()


def test_help_is_light_and_the_report_never_imports_torch(tmp_path):
    run = write_run(tmp_path / "run", records=make_records(**ONE_SHAPE, rounds=1))
    program = (
        "import sys; from harness.cli import main; main(['report', '--help']);"
        "assert not {'pandas', 'matplotlib'} & sys.modules.keys();"
        "from harness.show import report; report.PLOTS.clear();"  # processes of their own draw them
        f"main(['report', {str(run)!r}, '-o', {str(tmp_path / 'report.html')!r}]);"
        "assert 'pandas' in sys.modules and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert load(run).run.id in (tmp_path / "report.html").read_text("utf-8")


def test_those_that_failed_are_news_on_the_first_screen():
    failing = [make_record(make_case(f"bad{n}"), reason="KeyError: 'oops'", outcome="failed") for n in range(21)]
    good = [one for name in ("linear-fp32", "linear-bf16", "eager") for one in timed(name, 1.0, 1.01)]
    text = Page(html_of([*good, *failing])).text
    assert text.index("✗ 21 of 24 implementations failed. bad0, bad1 and 19 others: KeyError: 'oops'") < text.index(
        "Keep nn.Linear"
    )
    skipped = [make_record(make_case("bad"), reason="cannot run here")]
    assert "implementations failed" not in Page(html_of([*good, *skipped])).text


def test_answer_tables_and_figures_hold_all_against_one_baseline(tmp_path, few_figures):
    """On a machine where float32 is the faster of the two it is float32, and nothing leads with the other."""
    few_figures.setattr(report, "PLOTS", {"speed-up": PLOTS["speed-up"]})
    for name, slower in (("linear-bf16", {}), ("linear-fp32", {"linear-bf16": 9.0})):
        run = write_run(tmp_path / name, records=make_records(**ONE_SHAPE, slowdown=slower, troubles=False))
        assert main(["report", str(run), "-o", str(tmp_path / "report.html")]) == 0
        text = (tmp_path / "report.html").read_text("utf-8")
        seen = Page(text)
        assert f"Speed and size are against {name} , the baseline" in seen.text
        assert f"faster than {name}" in seen.text
        assert f"How many times as fast as {name}" in seen.text
        assert f'data-baselines="{name} ' in text
        assert f"Speed-up over {name} (right of 1× is faster" in seen.text
        columns = re.findall(r"vs (linear-\w+)", text[text.index('id="run1-results-quick"') :])
        assert columns[0] == name


def test_every_term_has_an_explanation_that_is_on_the_page(quick):
    seen = Page((quick / "report.html").read_text("utf-8"))
    explained = {attributes["id"] for attributes in seen.all("div") if "popover" in attributes}
    asked = {attributes["popovertarget"] for attributes in seen.all("button")}
    assert asked <= explained
    assert {"term-sqnr", "term-m", "term-baseline"} <= asked


def test_a_term_is_marked_once_a_text_and_never_within_a_word():
    marked = explained("M = 1 and M = 128 of MB, SQNR <b>")
    assert marked.count("<button") == 2
    assert marked.endswith("&lt;b&gt;")
    assert str(explained("Mixed hotel upstream")) == "Mixed hotel upstream"


def test_three_warnings_are_in_sight_and_the_rest_is_folded():
    doubts = [f"doubt {number}: do something" for number in range(5)]
    records = [make_record(make_case("a"), values={"weight_bytes": 1}, warnings=doubts)]
    text = html_of(records)
    shown, _, folded = text[text.index('class="warnings"') :].partition("<details>")
    assert [doubt in shown for doubt in doubts] == [True] * 3 + [False] * 2
    assert "<summary>2 more</summary>" in folded
