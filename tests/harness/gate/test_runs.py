"""The two runs of a gate on the disk: what they must share to be gone on with."""

from pathlib import Path

import msgspec
import pytest

from harness.analysis.convergence import declared
from harness.errors import UsageError
from harness.gate.pair_controller import SIDES
from harness.gate.runs import GateRuns
from harness.model import Rules, Run, Side
from tests.harness.data.factories import make_run


def both(rules: Rules) -> dict[Side, Run]:
    return {
        side: msgspec.structs.replace(make_run(run_id=f"g-{side}"), pair="g", side=side, rules=declared(rules))
        for side in SIDES
    }


def test_a_gate_is_gone_on_with_by_the_same_numbers_however_they_are_worded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    GateRuns(tmp_path / "gate", both(Rules())).__exit__(None, None, None)
    monkeypatch.setattr(Rules, "in_words", lambda self: ("worded otherwise",))
    with GateRuns(tmp_path / "gate", both(Rules()), resume=True) as again:
        assert again.earlier == {"base": [], "head": []}
    for other in (Rules(margin=0.05), Rules(tolerances={"error_sqnr": 0.5})):
        with pytest.raises(UsageError, match="was begun by other rules"):
            GateRuns(tmp_path / "gate", both(other), resume=True)
