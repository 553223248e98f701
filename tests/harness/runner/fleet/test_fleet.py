"""A fleet of real processes: scheduler, workers, clients. Whoever is killed, no record is lost or counts twice."""

import json
import signal
import sys
from collections import Counter
from pathlib import Path

import psutil
import pytest

from harness import store
from tests.harness.fakes.fleet_rig import Rig

pytest.importorskip("distributed")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="children die with their parent on Linux only")
ROUNDS = 5
ALL = 4 * 3 * ROUNDS + 4
"""Records of a run: three implementations in every round, and one that is skipped."""


def assert_whole(rig: Rig, runs: int) -> None:
    """Every run of the hub is whole: no turn is missing, and none is there twice."""
    places = sorted(path.parent for path in rig.hub.glob("*/run.jsonl"))
    assert len(places) == runs
    for place in places:
        stored = store.load(place)
        turns = Counter((record.case.name, record.round) for record in stored.records)
        lines = (place / "run.jsonl").read_bytes().count(b"\n")
        assert (len(turns), max(turns.values()), lines, stored.warnings) == (ALL, 1, ALL + 1, ())
    assert len({store.load(place).run.id for place in places}) == runs
    assert len({store.load(place).run.environment.machine for place in places}) == runs


def leftovers(rig: Rig) -> list[str]:
    """Runs and their files that outlive the fleet on its machines."""
    running = [
        one for one in psutil.process_iter(["cmdline"]) if str(rig.folder) in " ".join(one.info["cmdline"] or ())
    ]
    return [" ".join(one.info["cmdline"]) for one in running] + [
        str(file) for file in rig.folder.glob("cache/*/*/fleet/*/*")
    ]


def test_records_come_while_they_are_made_and_dead_workers_and_clients_cost_none(tmp_path: Path) -> None:
    with Rig(tmp_path, words=("--rounds", str(ROUNDS))) as rig:
        client = rig.client()
        rig.wait(lambda: len(rig.lines()) > 30)
        assert client.poll() is None, "nothing came before the end"
        seen = {path: path.read_bytes() for path in rig.hub.glob("*/run.jsonl")}
        rig.workers["a"].kill()
        rig.wait(lambda: rig.workers["a"].poll() is not None)
        rig.tend()
        rig.wait(lambda: b"cut off" in (rig.folder / "client.log").read_bytes())
        client.kill()
        client.wait()
        code, said = rig.finished(rig.client("--go-on"))
        assert code == 0, said
        assert ": resumed on " in said
        assert_whole(rig, runs=2)
        for path, data in seen.items():
            assert path.read_bytes().startswith(data[: data.rindex(b"\n") + 1])
        assert leftovers(rig) == []


@pytest.mark.slow
def test_a_machine_that_is_gone_is_named_or_another_of_its_kind_begins_anew(tmp_path: Path) -> None:
    with Rig(tmp_path, words=("--rounds", str(ROUNDS))) as rig:
        client = rig.client("--patience", "10s")
        rig.wait(lambda: len(rig.lines()) > 30)
        gone = rig.workers.pop("a")
        gone.kill()
        gone.wait()
        code, said = rig.finished(client)
        assert code == 0, said
        assert "is gone: its run begins anew on" in said
        plan = json.loads((rig.hub / "fleet.json").read_bytes())
        assert Counter(job["state"] for job in plan["jobs"]) == {"done": 2, "moved": 1}
        runs = [store.load(path.parent) for path in rig.hub.glob("*/run.jsonl")]
        assert [run.run.environment.labels["name"] for run in runs] == ["b", "b"]
        assert [len(run.records) for run in runs] == [ALL, ALL]


@pytest.mark.slow
def test_what_cannot_be_placed_says_which_machine_is_missing(tmp_path: Path) -> None:
    with Rig(tmp_path, words=("--rounds", str(ROUNDS))) as rig:
        client = rig.client("--patience", "10s", "--on", "name=a")
        rig.wait(lambda: len(rig.lines()) > 10)
        gone = rig.workers.pop("a")
        gone.kill()
        gone.wait()
        code, said = rig.finished(client)
        assert code == 4, said
        assert said.splitlines()[-1].startswith("bitbench: machine ")
        assert "name=a) is missing, and no other of its kind is here" in said
        rig.workers["a"] = rig.begin_worker("a")
        code, said = rig.finished(rig.client("--on", "name=a", "--go-on"))
        assert code == 0, said
        assert_whole(rig, runs=1)


@pytest.mark.slow
def test_nothing_is_begun_that_would_not_be_the_same_everywhere(tmp_path: Path) -> None:
    with Rig(tmp_path, names=("a",)) as rig:
        code, said = rig.finished(rig.client("--on", "gpu=h200"))
        assert (code, said.count("\n")) == (2, 1)
        assert "--on gpu=h200: no machine is like that; there are " in said
        rig.workers["twin"] = rig.begin_worker("twin", BITBENCH_MACHINE=f"{rig.folder} a")
        code, said = rig.finished(rig.client())
        assert code == 4
        assert "two workers are of machine" in said.splitlines()[-1]
        twin = rig.workers.pop("twin")
        twin.kill()
        twin.wait()
        rig.workers["loud"] = rig.begin_worker("loud", DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL="20ms")
        code, said = rig.finished(rig.client())
        assert code == 4
        assert "its worker is not quiet (distributed.admin.tick.interval)" in said.splitlines()[-1]
        assert not list(rig.hub.glob("*/run.jsonl"))


@pytest.mark.slow
def test_ctrl_c_ends_the_runs_too(tmp_path: Path) -> None:
    with Rig(tmp_path, names=("a",), words=("--rounds", "2000")) as rig:
        client = rig.client()
        rig.wait(lambda: len(rig.lines()) > 10)
        client.send_signal(signal.SIGINT)
        code, said = rig.finished(client)
        assert code == 130
        assert "go on by the same command with --go-on" in said.splitlines()[-1]
        rig.wait(lambda: not psutil.Process(rig.workers["a"].pid).children(recursive=True))
