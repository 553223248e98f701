"""Which blocks are voided, and that the rule cannot throw a whole round away."""

from hypothesis import given
from hypothesis import strategies as st

from harness.analysis.voided import DISTURBED, MOST, voided

QUIET = 0.0004


def test_a_disturbed_canary_voids_the_blocks_on_either_side_of_it() -> None:
    canary = [QUIET] * 6
    assert voided(canary, ()) == ()
    canary[2] = 1.1 * DISTURBED * QUIET
    assert voided(canary, ()) == (1, 2)
    assert voided([2.5 * QUIET, *[QUIET] * 5], ()) == (0,)
    assert voided([*[QUIET] * 5, 2.5 * QUIET], ()) == (4,)


def test_a_machine_that_was_suspended_voids_the_block_it_was_suspended_in() -> None:
    assert voided([QUIET] * 6, (0.0, 0.0, 0.0, 7.5, 0.0)) == (3,)


def test_what_was_not_looked_at_is_not_voided() -> None:
    assert voided((), ()) == ()
    assert voided((QUIET,), ()) == ()


@given(st.lists(st.floats(1e-4, 1e-1), max_size=30), st.lists(st.sampled_from([0.0, 1.0]), max_size=30))
def test_a_round_never_loses_more_than_the_declared_share_of_its_blocks(
    canary: list[float], suspended: list[float]
) -> None:
    blocks = max(0, len(canary) - 1)
    lost = voided(canary, suspended)
    assert len(lost) <= MOST * blocks
    assert set(lost) <= set(range(blocks))
