"""`bitbench plot`: any figure as a file, and clear words where there is none."""

import pandas as pd
import pytest

from harness.cli import main
from harness.show.plots import PLOTS, draw
from tests.harness.data.factories import make_records, write_run


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    records = make_records(
        implementations=("linear-fp32", "int8"), shapes=((2560, 2560),), tokens=(1,), samples=2, troubles=False
    )
    return str(write_run(tmp_path_factory.mktemp("runs") / "quick", records=records))


@pytest.mark.parametrize(("kind", "start"), [("svg", b"<?xml"), ("PNG", b"\x89PNG"), ("pdf", b"%PDF")])
def test_the_suffix_decides_the_format_and_the_same_run_gives_the_same_bytes(kind, start, quick, tmp_path, capsys):
    files = [tmp_path / f"{name}.{kind}" for name in ("one", "two")]
    for file in files:
        assert main(["plot", "speed-up", quick, "-o", str(file)]) == 0
    one, two = (file.read_bytes() for file in files)
    assert one.startswith(start)
    assert one == two
    assert capsys.readouterr().out.split() == [str(file) for file in files]


def test_a_csv_file_holds_the_frame_that_is_drawn(quick, tmp_path):
    for file in (tmp_path / "one.csv", tmp_path / "two.csv"):
        assert main(["plot", "speed-up", quick, "-o", str(file)]) == 0
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "one.csv"), draw("speed-up", quick).frame)
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()


def test_an_unknown_name_is_answered_with_all_names(quick, tmp_path, capsys):
    assert main(["plot", "speeds", quick, "-o", str(tmp_path / "a.svg")]) == 2
    words = capsys.readouterr().err
    assert "'speeds'" in words
    assert all(name in words for name in PLOTS)


@pytest.mark.parametrize("name", ["a.jpg", "a", "missing/a.svg"])
def test_a_file_that_cannot_be_written_is_one_line(name, quick, tmp_path, capsys):
    assert main(["plot", "speed-up", quick, "-o", str(tmp_path / name)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_figure_without_its_data_says_what_it_needs(quick, tmp_path, capsys):
    assert main(["plot", "history", quick, "-o", str(tmp_path / "a.svg")]) == 5
    assert "3 runs" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
