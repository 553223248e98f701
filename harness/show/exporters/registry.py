"""The formats that a run can be written in, by the name of their tool."""

from collections.abc import Callable, Mapping

from harness.show.exporters import bencher, github_action, go_text, google_benchmark, pyperf, pytest_benchmark
from harness.show.exporters.selection import Selection, Written

_MODULES = (pytest_benchmark, pyperf, go_text, google_benchmark, github_action, bencher)
EXPORTERS: Mapping[str, Callable[[Selection], Written]] = {one.TOOL: one.write for one in _MODULES}
