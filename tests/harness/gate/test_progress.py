"""What a person who waits for a gate is told, by a fake clock."""

import itertools
import re

from harness.gate.progress import EVERY, Narrator
from harness.model.rules import Rules
from tests.harness.fakes.gate_scene import GateScene, changed


def test_it_says_every_twenty_seconds_what_it_has_so_far_and_what_each_look_finds() -> None:
    scene = GateScene(changed(a=1.1), rules=Rules(looks=(80, 90)))
    said: list[tuple[float, str]] = []
    narrator = Narrator(lambda line: said.append((scene.clock(), line)), scene.clock)
    scene.gate.run(narrator, scene.kept.append)
    first_look = next(number for number, (_, line) in enumerate(said) if line.startswith("after 80 rounds: "))
    assert first_look >= 2
    for (before, _), (at, line) in itertools.pairwise([(0.0, ""), *said[:first_look]]):
        assert EVERY <= at - before < EVERY + 1
        assert re.match(
            r"round \d+, \d of 5 cases; so far the largest change is \+10\.\d % in \d+ rounds: .*implementation=a", line
        )
    assert "2 ok" in said[first_look][1]
    assert "cases go on" in said[first_look][1]
