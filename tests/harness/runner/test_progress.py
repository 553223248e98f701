"""What a person sees while a run goes on."""

from harness.model import Case, Record
from harness.runner.plan import Contest
from harness.runner.progress import PAUSE, Brief, Lines, in_notebook
from tests.harness.fakes.run_scene import contest_of


def test_plain_lines_name_contests_rows_and_the_time_left() -> None:
    said: list[str] = []
    seconds = iter(range(0, 1000, 10))
    contest: Contest = contest_of(1)
    case: Case = contest.cases[0]
    lines = Lines(said.append, lambda: float(next(seconds)))
    with lines:
        lines.began(contest, 0, 3)
        lines.prepared(case, {"latency": (0.002,), "weight_bytes": (2048.0,), "error_sqnr": (8.06,)})
        lines.recorded(Record(case, 0, "measured"))
        lines.recorded(Record(contest.cases[1], 0, "skipped", "no such device"))
        trace = ("mine.py:12 in forward: return f(x)", "mine.py:15 in f: return table[key]", "because of OSError")
        lines.recorded(Record(contest.cases[1], 0, "failed", "KeyError: 'oops'", trace=trace))
        lines.began(contest, 1, 2)
        lines.prepared(case, {"latency": (0.002,)})
    assert said == [
        "[1/3] round 1  s/m=1",
        "  a               about  2.00 ms   2.00 KiB of weights   8.06 dB SQNR",
        "  b               skipped: no such device",
        "  b               failed: KeyError: 'oops'; in mine.py:15 in f",
        "[2/3] round 2  s/m=1  at most 20 s left",
    ]


def test_a_notebook_gets_a_line_now_and_then_and_each_failure_once() -> None:
    said: list[str] = []
    time = [0.0]
    contest: Contest = contest_of(1)
    lost = Record(contest.cases[1], 0, "failed", "KeyError: 'oops'")
    with Brief(said.append, lambda: time[0]) as brief:
        for number in range(40):
            brief.began(contest, 0, 40 - number)
            brief.prepared(contest.cases[0], {"latency": (0.002,)})
            brief.recorded(lost)
            time[0] += PAUSE / 10
    assert said == [
        "round 1, 0% done",
        "  b               failed: KeyError: 'oops'",
        "round 1, 25% done  at most 45 s left",
        "round 1, 50% done  at most 30 s left",
        "round 1, 75% done  at most 15 s left",
    ]
    assert in_notebook({"JPY_PARENT_PID": "7"})
    assert in_notebook({"MPLBACKEND": "module://matplotlib_inline.backend_inline"})
    assert not in_notebook({"MPLBACKEND": "agg"})
