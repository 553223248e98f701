"""Later runs against the first: what is compared, what is not, and what is said of it."""

import msgspec
import pytest

from harness.model import StoredRun
from harness.show.plots.forest import forest
from harness.show.report.changes import changes_of
from tests.harness.data.factories import make_case, make_environment, make_record, make_run


def run_of(day, *, seconds=1e-3, stored=640, pair="", environment=None, implementations=("eager", "int8")):
    """A run of six rounds on a day of January."""
    header = make_run(run_id=f"day-{day}", commit=f"{day}abcdef0", environment=environment)
    records = [
        make_record(
            make_case(name),
            turn,
            {"latency": seconds * (1 + 0.001 * turn)} | ({"weight_bytes": stored} if not turn else {}),
        )
        for name in implementations
        for turn in range(6)
    ]
    header = msgspec.structs.replace(header, started=f"2026-01-0{day}T00:00:00Z", pair=pair)
    return StoredRun(header, tuple(records))


def cell(part, metric, heading):
    index = [one.text for one in part.sheet.headings].index(heading)
    return {row.cells[index] for block in part.sheet.blocks for row in block if row.cells[3] == metric}


def test_later_runs_are_held_against_the_one_that_started_first():
    parts = changes_of([run_of(3, seconds=1.5e-3), run_of(1), run_of(2, stored=320)])

    assert [part.name for part in parts] == ["changes-day-2", "changes-day-3"]
    assert cell(parts[0], "weight_bytes", "verdict") == {"improved"}
    assert cell(parts[0], "latency", "verdict") == {"ok"}
    assert cell(parts[1], "latency", "change") == {"+50.0"}
    assert not cell(parts[1], "weight_bytes", "verdict"), "what is the same is no change"
    assert "2 regressed" in parts[1].words[0]
    assert all("different times" in part.words[1] for part in parts)
    assert [change.ratio for change in parts[1].cases] == pytest.approx([1.5, 1.5])


def test_the_figure_names_the_sides():
    (part,) = changes_of([run_of(1), run_of(2)])
    figure = forest(part.cases, part.sentinels, sides=part.sides).figure
    assert "2abcdef over 1abcdef" in figure.axes[0].get_xlabel()
    assert "from 1abcdef to 2abcdef" in figure.get_label()


def test_no_latency_of_unlike_machines_is_compared():
    other = make_environment(cpu_model="Another CPU")
    (part,) = changes_of([run_of(1), run_of(2, seconds=9e-3, stored=320, environment=other)])

    assert not part.is_drawn
    assert not cell(part, "latency", "verdict")
    assert cell(part, "weight_bytes", "verdict") == {"improved"}
    assert "no latency is judged" in part.words[0]
    assert "Another CPU" in part.words[1]


def test_sides_of_a_gate_and_strangers_have_no_changes():
    assert not changes_of([])
    assert not changes_of([run_of(1)])
    assert not changes_of([run_of(1, pair="gate"), run_of(2, pair="gate")])
    assert not changes_of([run_of(1), run_of(2, implementations=("packed",))])


def test_a_run_is_held_against_the_first_that_shares_a_case():
    strangers = run_of(1, implementations=("packed",))
    (part,) = changes_of([strangers, run_of(2), run_of(3)])
    assert part.sides == ("2abcdef", "3abcdef")


def test_cases_of_one_run_only_are_counted():
    (part,) = changes_of([run_of(1), run_of(2, implementations=("int8", "packed", "native"))])
    assert part.words[-2:] == ["Cases in the first run only: 1.", "Cases in the later run only: 2."]


def test_what_regressed_comes_first_whatever_its_metric():
    (part,) = changes_of([run_of(1), run_of(2, stored=1280)])
    assert [row.cells[1] for row in part.sheet.blocks[0]] == ["regressed"] * 2 + ["ok"] * 2
