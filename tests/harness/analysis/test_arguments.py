"""What a notebook gives to frames, figures and the report: right, or one clear line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from harness import frames
from harness.show import plots, report
from harness.store.runs import load
from tests.harness.data.factories import make_records, make_run, write_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    records = make_records(shapes=((2560, 2560),), tokens=(1,))
    return str(write_run(tmp_path_factory.mktemp("notebook") / "run", make_run(), records))


def test_one_run_may_stand_by_itself_wherever_several_may(
    run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "PLOTS", {"speed-up": plots.PLOTS["speed-up"]})
    for given in (run, Path(run), [run], (Path(run),), load(Path(run)), frames.views_of(run)[0]):
        assert isinstance(plots.draw("speed-up", given).figure, Figure)
        assert len(frames.summary(given)) == len(frames.summary(run))
        assert [view.stored.run.id for view in frames.views_of(given)] == [make_run().id]
    report.write(run, str(tmp_path / "report.html"))
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda run: plots.draw("rooflin"), r"unknown figure 'rooflin'; choose from: .* did you mean roofline\?"),
        (lambda run: plots.draw("rooflin", run), "unknown figure 'rooflin'"),
        (lambda run: plots.draw(["roofline"], run), r"unknown figure \['roofline'\]"),
        (lambda run: plots.draw("roofline"), "no run is given"),
        (lambda run: plots.draw("roofline", []), "no run is given"),
        (lambda run: plots.draw("roofline", 3), "3 is no run; give its directory"),
        (lambda run: plots.draw("roofline", ""), "'' is no run"),
        (lambda run: frames.load(None), "None is no run"),
        (lambda run: frames.summary(frames.summary(run)), "a DataFrame is no run"),
        (lambda run: report.write(3, "report.html"), "3 is no run"),
        (lambda run: frames.samples(run, metric="latncy"), "unknown metric 'latncy'; .* did you mean latency"),
        (lambda run: frames.wide(frames.summary(run), "latncy"), "unknown metric 'latncy'"),
        (lambda run: frames.wide(frames.summary(run), ["latency"]), r"unknown metric \['latency'\]"),
        (lambda run: frames.wide(run), "is no frame; give what harness.frames.summary returns"),
        (lambda run: frames.wide(frames.load(run)), "no column 'centre'; give what harness.frames.summary returns"),
        (lambda run: plots.speed.speedup(run), "is no frame; give what harness.frames.summary returns"),
        (
            lambda run: plots.roofline.roofline(frames.summary(run), frames.summary(run)),
            "give what harness.frames.ceilings",
        ),
        (lambda run: plots.noise.timings(frames.summary(run)), "give what harness.frames.samples returns"),
        (lambda run: plots.noise.timings_in_order(frames.load(run)), "give what harness.frames.samples returns"),
        (lambda run: plots.history.history(frames.load(run)), "give what harness.frames.summary returns"),
        (lambda run: plots.noise.precision(summary=frames.load(run)), "give what harness.frames.summary returns"),
        (lambda run: plots.error_shape.error_shape(frames.summary(run)), "give what harness.frames.samples returns"),
    ],
)
def test_what_is_none_of_it_is_one_clear_value_error(run: str, call: Callable[[str], Any], says: str) -> None:
    with pytest.raises(ValueError, match=says) as raised:
        call(run)
    assert len(str(raised.value).splitlines()) == 1
