"""The line of code below the advice of a report."""

import json

import suites
from bitlinear.implementations import IMPLEMENTATIONS
from bitlinear.scheme import Scheme
from harness.suite import Registry
from suites.advice import CONVERTS, usage


def test_the_line_names_an_implementation_of_the_catalogue_and_a_scheme():
    assert set(CONVERTS) <= {one.name for one in IMPLEMENTATIONS}
    line = usage("native", {"scheme": "w1.58a8-nonorm"})
    name, scheme = (json.loads(word) for word in line.removeprefix("bitlinear.convert(model, ").rstrip(")").split(", "))
    assert (name, str(Scheme.parse(scheme))) == ("native", "w1.58a8-nonorm")


def test_there_is_no_line_for_what_cannot_be_converted_to():
    assert usage("mine:Mine", {"scheme": "w1.58a8"}) == ""
    assert usage("native", {"k": 1}) == ""


def test_a_package_of_suites_may_bring_no_such_line():
    assert Registry.load("suites").usage is suites.USAGE
    assert Registry("m", {}, "m:c").usage("native", {"scheme": "w1.58a8"}) == ""
