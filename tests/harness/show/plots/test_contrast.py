"""Whether text and marks stand out: WCAG 2.1 contrast over the page's colours and over those of the figures."""

import re
from importlib.resources import files
from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from harness.show.plots import theme

CSS = files("harness.show.report").joinpath("report.css").read_text("utf-8")
NAMED = {name: (light, dark) for name, light, dark in re.findall(r"--([\w-]+): light-dark\((#\w+), (#\w+)\)", CSS)}
TEXT = ("ink", "muted", "accent", "warn", "win", "bad")
BEHIND = ("page", "card", "stripe", "warn-page", "win-page", "bad-page")


def luminance(colour):
    """Relative luminance as WCAG defines it."""
    channels = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(colour)]
    return float(np.dot([0.2126, 0.7152, 0.0722], channels))


def contrast(one, other):
    """From 1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_that_of_the_standard():
    assert contrast("#000", "#fff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.478, abs=1e-3)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_stands_out_on_whatever_lies_behind_it(scheme):
    weak = {
        (text, behind): round(contrast(NAMED[text][scheme], NAMED[behind][scheme]), 2)
        for text in TEXT
        for behind in BEHIND
        if contrast(NAMED[text][scheme], NAMED[behind][scheme]) < 4.5
    }
    assert not weak


def test_every_colour_of_the_page_has_both_schemes_and_print_has_its_own():
    head, printed = CSS.partition("}")[0], CSS.partition("@media print")[2]
    names = set(re.findall(r"--([\w-]+): (?:light-dark|#)", head))
    assert names == set(NAMED)
    assert names == set(re.findall(r"--([\w-]+): #", printed))


@pytest.mark.parametrize("behind", ["page", "card"])
@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_marks_of_figures_stand_out_on_both_pages(behind, scheme):
    marks = {*theme.COLOURS, theme.RULE}
    weak = {mark: contrast(mark, NAMED[behind][scheme]) for mark in marks}
    assert {mark: value for mark, value in weak.items() if value < 3} == {}


def test_figures_take_their_colours_from_the_theme():
    """Heat maps have scales of their own, and black or white in their cells."""
    for file in files("harness.show.plots").iterdir():
        if file.name.endswith(".py") and file.name not in ("theme.py", "landscape.py"):
            assert re.findall(r'"#[0-9a-fA-F]{3,8}"|colorblind', file.read_text("utf-8")) == [], file.name


DEUTERANOPIA = np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]])
"""Machado, Oliveira and Fernandes, 2009: what is seen of linear red, green and blue without the green cones."""


def seen(colour):
    """In CIELAB, by somebody without green cones."""
    linear = np.array([c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)])
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = to_xyz @ np.clip(DEUTERANOPIA @ linear, 0, 1) / (to_xyz @ np.ones(3))
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_ten_colours_differ_for_a_colour_blind_reader():
    assert min(np.linalg.norm(seen(one) - seen(other)) for one, other in combinations(theme.COLOURS, 2)) > 8
