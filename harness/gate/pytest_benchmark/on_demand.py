"""Runs in the project's own interpreter: collects its pytest-benchmark tests, and runs one whenever it is asked to.

It is started as a script, with pytest's arguments, and imports nothing of ours, so that an environment that knows
nothing of this project can run it. A request is one line of JSON on standard input, a reply one on standard output
(`wire` says which); tests get an empty input instead, and standard error for what they print.

A test is run by pytest's own protocol, as often as it is asked for, with its fixtures built anew each time. This is
what plugins do that repeat a failed test. Fixtures of a wider scope stay until another test needs them gone.
"""

from __future__ import annotations

import json
import math
import os
import platform
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any, TextIO

HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - the same string as in sys.path
if sys.path and os.path.abspath(sys.path[0]) == HERE:  # noqa: PTH100 - likewise
    del sys.path[0]  # Python puts the script's folder there, where names of the project's modules may lie

try:
    import pytest
except ImportError:
    sys.exit(f"pytest is not installed for {sys.executable}: install it and pytest-benchmark there, or name another")
try:
    from pytest_benchmark.fixture import BenchmarkFixture
except ImportError:
    sys.exit(f"pytest-benchmark is not installed for {sys.executable}: install it there, or name another --python")

MAX_REASON = 300
"""Characters of a reason."""


class TestsOnDemand:
    """A pytest plugin that takes the place of the loop over all tests."""

    __test__ = False

    def __init__(self, requests: TextIO, replies: TextIO) -> None:
        self._requests, self._replies = requests, replies
        self._items: dict[str, Any] = {}
        """The tests that use the fixture, by node id."""
        self._broken: dict[str, str] = {}
        """What could not be collected, by node id: its reason."""
        self._reports: list[Any] = []
        """Of the test that is running."""
        self._fixture: Any = None
        """pytest-benchmark's, as the running test got it."""
        self._told: dict[str, str] = {}
        """The modules that the other side knows of."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: Any) -> None:
        """Undo what keeps benchmarks from running in a usual call of pytest."""
        config.option.benchmark_skip = False

    @pytest.hookimpl
    def pytest_collectreport(self, report: Any) -> None:
        """Keep why a file or a class could not be collected."""
        if report.failed:
            self._broken[report.nodeid] = _reason(report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: Any) -> bool:
        """Answer one request after another until there are no more."""
        self._items = {item.nodeid: item for item in session.items if "benchmark" in getattr(item, "fixturenames", ())}
        for line in self._requests:
            number, _, text = line.partition(" ")
            request = json.loads(text)
            if request["type"] == "leave":
                break
            reply = self._collected() if request["type"] == "collect" else self._visited(request["test"])
            self._replies.write(f"{number} {json.dumps(reply, allow_nan=False)}\n")
            self._replies.flush()
        return True

    def _collected(self) -> dict[str, Any]:
        return {
            "tests": list(self._items),
            "broken": self._broken,
            "python": platform.python_version(),
            "modules": self._new_modules(),
        }

    def _visited(self, name: str) -> dict[str, Any]:
        item = self._items.get(name)
        if item is None:
            reasons = [reason for place, reason in self._broken.items() if name.startswith(place)]
            return {"outcome": "failed", "reason": f"it could not be collected: {(reasons or ['it is gone'])[0]}"}
        doubts = list(self._left_behind(item))
        self._reports, self._fixture = [], None
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=item.parent)
        return {**self._outcome(), "warnings": doubts, "modules": self._new_modules()}

    def _left_behind(self, item: Any) -> Iterator[str]:
        """Take down the fixtures of the tests before that `item` does not need; what fails then is told beside it."""
        try:
            item.session._setupstate.teardown_exact(item)
        except Exception as error:  # noqa: BLE001 - a fixture of another test may raise anything, and it is told
            yield f"a fixture of the tests before could not be taken down: {type(error).__name__}: {error}"[:MAX_REASON]

    @pytest.hookimpl(hookwrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Iterator[None]:
        """See the fixture, by whatever name and through whatever other fixture the test came to it."""
        made = yield
        if made is not None and made.excinfo is None and isinstance(made.get_result(), BenchmarkFixture):
            self._fixture = made.get_result()

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report: Any) -> None:
        """Keep how a phase of the test ended."""
        self._reports.append(report)

    def _outcome(self) -> dict[str, Any]:
        """The word of pytest on the test comes first: it was timed before it checked what came out."""
        failed = next((report for report in self._reports if report.failed), None)
        skipped = next((report for report in self._reports if report.skipped), None)
        timed: Any = getattr(self._fixture, "stats", None)
        values = list(timed.stats.data) if timed is not None else []
        if timed is not None:
            timed.stats.data.clear()  # they would be kept for a table that nobody reads
        if failed is not None:
            return {"outcome": "failed", "reason": f"{failed.when}: {_reason(failed)}"}
        if skipped is not None:
            return {"outcome": "skipped", "reason": _reason(skipped)}
        if not values:
            why = "pytest-benchmark is disabled" if getattr(self._fixture, "disabled", False) else "it timed nothing"
            return {"outcome": "skipped", "reason": f"{why}: the test passed without a call of `benchmark`"}
        if not all(map(math.isfinite, values)):
            return {"outcome": "failed", "reason": "its timer gave a value that is not a number"}
        return {"outcome": "measured", "values": values, "iterations": timed.iterations}

    def _new_modules(self) -> dict[str, str]:
        """The modules that were loaded from files since the last reply, by their names."""
        found = {name: getattr(module, "__file__", None) for name, module in list(sys.modules.items())}
        new = {name: file for name, file in found.items() if isinstance(file, str) and self._told.get(name) != file}
        self._told.update(new)
        return new


def _reason(report: Any) -> str:
    """In one line: the reason of a skip, or the message of the exception."""
    told = report.longrepr
    if getattr(report, "wasxfail", None):
        return f"expected to fail: {report.wasxfail}"[:MAX_REASON]
    if isinstance(told, tuple):
        return str(told[2]).replace("\n", " ")[:MAX_REASON]
    crash = getattr(told, "reprcrash", None)
    text = crash.message if crash is not None else str(told)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    last = lines[0] if crash is not None and lines else lines[-1] if lines else "it says nothing"
    return str(last)[:MAX_REASON]


def _pipes() -> tuple[TextIO, TextIO]:
    """Standard input and output as they are now; from now on whoever reads or prints has other ones."""
    pipes = (os.fdopen(os.dup(0), "r", encoding="utf-8"), os.fdopen(os.dup(1), "w", encoding="utf-8"))
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - a file descriptor
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    return pipes


def _arguments(given: list[str]) -> list[str]:
    """Those of pytest, after those that undo what two common plugins would do to a timing, where it loads them."""
    if "PYTEST_DISABLE_PLUGIN_AUTOLOAD" in os.environ:
        return given
    quiet = [word for plugin, word in (("xdist", "-n0"), ("pytest_cov", "--no-cov")) if find_spec(plugin)]
    return [*quiet, *given]


if __name__ == "__main__":
    plugin = TestsOnDemand(*_pipes())
    sys.exit(int(pytest.main(_arguments(sys.argv[1:]), plugins=[plugin])))
