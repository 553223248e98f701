import pytest

from harness.show import report


@pytest.fixture
def few_figures(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Pages without the figures of runs, each of which takes as long to draw as all the words to write."""
    monkeypatch.setattr(report, "PLOTS", {})
    return monkeypatch
