"""Plans of mixed bits: the best upgrade a byte first, within the bytes that there are."""

import pytest

from suites.planning.greedy import Option, assign, total

CHEAP_DOWN, DEAR_DOWN = Option("*.down", "w3a8", 30, 4.0), Option("*.down", "w8a8", 80, 0.1)
CHEAP_Q, DEAR_Q = Option("*.q", "w3a8", 10, 0.5), Option("*.q", "w8a8", 27, 0.1)
OPTIONS = [CHEAP_DOWN, DEAR_DOWN, CHEAP_Q, DEAR_Q]


def test_what_loses_most_a_byte_is_upgraded_first() -> None:
    assert assign(OPTIONS, 40) == {"*.down": CHEAP_DOWN, "*.q": CHEAP_Q}
    assert assign(OPTIONS, 60) == {"*.down": CHEAP_DOWN, "*.q": DEAR_Q}  # the other would not fit
    assert assign(OPTIONS, 90) == {"*.down": DEAR_DOWN, "*.q": CHEAP_Q}
    assert assign(OPTIONS, 107) == {"*.down": DEAR_DOWN, "*.q": DEAR_Q}


def test_a_larger_option_that_loses_more_is_never_taken() -> None:
    worse = Option("*.q", "w8a4", 12, 0.9)
    assert total(assign([*OPTIONS, worse], 1000)) == 107


def test_too_few_bytes_are_refused_with_the_least_that_will_do() -> None:
    with pytest.raises(ValueError, match="the smallest plan of these schemes takes 40"):
        assign(OPTIONS, 39)
