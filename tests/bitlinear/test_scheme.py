import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitlinear.scheme import ACTIVATION_BITS, WEIGHT_BITS, Scheme


@given(
    st.builds(Scheme, st.sampled_from(WEIGHT_BITS), st.sampled_from(ACTIVATION_BITS), st.integers(1, 64), st.booleans())
    | st.builds(
        Scheme,
        st.sampled_from(WEIGHT_BITS),
        st.sampled_from(ACTIVATION_BITS),
        norm=st.booleans(),
        features_per_group=st.integers(1, 256),
    )
)
def test_text_round_trips(scheme):
    assert Scheme.parse(str(scheme)) == scheme


def test_text_is_the_documented_one():
    assert str(Scheme(1.58)) == "w1.58a8"
    assert str(Scheme(1, groups=4)) == "w1a8g4"
    assert str(Scheme(4.0, norm=False)) == "w4a8-nonorm"
    assert str(Scheme(4, norm=False, features_per_group=64)) == "w4a8gs64-nonorm"
    assert Scheme() == Scheme(weight_bits=1, activation_bits=8, groups=1, norm=True)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Scheme(1.5), "weight_bits=1.5; choose from 1, 1.58, 2, 3"),
        (lambda: Scheme(True), "weight_bits=True; choose from"),
        (lambda: Scheme(1, 1), "activation_bits=1; choose from 2 to 16"),
        (lambda: Scheme(1, 8.0), "activation_bits=8.0 is not a whole number"),
        (lambda: Scheme(1, 8, 0), "groups=0; give 1 or more"),
        (lambda: Scheme.parse("w1.58"), "not a scheme: 'w1.58'; write w<weight bits>a<activation bits>"),
        (lambda: Scheme(groups=3).group_size(10), "in_features=10 is not divisible by groups=3"),
        (lambda: Scheme.parse("w4a8gs64").for_features(100), "in_features=100 is not divisible by a group size of 64"),
        (lambda: Scheme.parse("w4a8gs0"), "features_per_group=0; give 1 or more"),
        (lambda: Scheme.parse("w4a8g2gs64"), "not a scheme: 'w4a8g2gs64'"),
        (lambda: Scheme(groups=2, features_per_group=64), "groups=2 and features_per_group=64; give one of them"),
    ],
)
def test_what_is_wrong_and_what_is_allowed(make, words):
    with pytest.raises(ValueError, match=words.replace(".", r"\.")):
        make()


def test_a_group_size_becomes_a_number_of_groups_for_each_width():
    by_size, by_number = Scheme.parse("w4a8gs64-nonorm"), Scheme.parse("w4a8g9-nonorm")
    assert by_size.for_features(576) == by_number
    assert str(by_size.for_features(1536)) == "w4a8g24-nonorm"
    assert str(by_size.for_features(64)) == "w4a8-nonorm"
    assert by_number.for_features(576) is by_number
    assert (by_size.divides(576), by_size.divides(100), by_number.divides(1536)) == (True, False, False)


def test_schemes_and_theory_need_no_torch():
    code = "import sys, bitlinear.scheme, bitlinear.theory; assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_exported_name_is_there():
    import bitlinear

    assert all(getattr(bitlinear, name) is not None for name in bitlinear.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Bitlinear'; it has: IMPLEMENTATIONS, BitLinear"):
        bitlinear.Bitlinear  # noqa: B018 - the look-up is the test
