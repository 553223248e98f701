"""Plans: which layer gets which scheme, as a file and as an object."""

import json
import subprocess
import sys

import pytest

from bitlinear.models.plan import Plan, PlanError
from bitlinear.scheme import Scheme

W4, W8 = Scheme.parse("w4a8gs64-nonorm"), Scheme.parse("w8a8-nonorm")
PLAN = Plan({"model.layers.*.down": W8, "lm_head": None, "model.layers.3.*": W4}, default=W4, note="seed 3")


def test_a_plan_survives_its_file(tmp_path):
    PLAN.save(tmp_path / "plan.json")
    assert json.loads((tmp_path / "plan.json").read_text()) == {
        "bitlinear_plan": 1,
        "note": "seed 3",
        "default": "w4a8gs64-nonorm",
        "layers": {"model.layers.*.down": "w8a8-nonorm", "lm_head": None, "model.layers.3.*": "w4a8gs64-nonorm"},
    }
    assert Plan.load(tmp_path / "plan.json") == Plan.of(str(tmp_path / "plan.json")) == Plan.of(PLAN) == PLAN


@pytest.mark.parametrize(
    ("layers", "name", "scheme"),
    [
        ({}, "a.b", W4),
        ({"a.*": "w8a8-nonorm"}, "a.b.c", W8),
        ({"b": "w8a8-nonorm"}, "a.b", W4),  # whole names
        ({"a.*": None, "*.b": "w8a8-nonorm"}, "a.b", W8),  # the last pattern
        ({"a.b": "w8a8-nonorm", "*": None}, "a.b", W8),  # an exact name before any pattern
        ({"a.?": None}, "a.b", None),
        ({"": "w8a8-nonorm"}, "", W8),
    ],
)
def test_one_rule_decides(layers, name, scheme):
    assert Plan(Plan.of(layers).layers, default=W4).scheme_of(name) == scheme


def test_a_scheme_is_a_plan_for_all_layers():
    assert Plan.of("w8a8-nonorm").scheme_of("anything") == Plan.of(W8).scheme_of("anything") == W8
    assert Plan.of({"a": W8}).scheme_of("b") is None


def test_what_matches_no_layer_is_told_with_near_names():
    names = ["model.layers.0.mlp.down_proj", "model.layers.1.mlp.down_proj", "lm_head"]
    Plan.of({"model.layers.*.down_proj": W8, "lm_head": None}).require_matches(names)
    for rule, words in (
        ("model.layers.*.mlp.downproj", r"matches no layer; did you mean model\.layers\.\*\.mlp\.down_proj\?"),
        ("lmhead", r"'lmhead', which matches no layer; did you mean lm_head\?"),
        ("mlp", r"the model has: model\.layers\.\*\.mlp\.down_proj, lm_head"),
    ):
        with pytest.raises(PlanError, match=words):
            Plan.of({rule: W8}).require_matches(names)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "is no JSON: "),
        ("[1]", "it is no plan; write"),
        ("{}", "it is no plan; write"),
        ('{"bitlinear_plan": 2}', '"bitlinear_plan" is 2; this version of bitlinear reads 1'),
        ('{"bitlinear_plan": true}', '"bitlinear_plan" is True'),
        ('{"bitlinear_plan": 1, "defualt": "w8a8"}', "unknown key 'defualt'; it may have: bitlinear_plan, note"),
        ('{"bitlinear_plan": 1, "layers": ["a"]}', '"layers" must be an object'),
        ('{"bitlinear_plan": 1, "layers": {"a": "w9a8"}}', "'a': weight_bits=9.0; choose from"),
        ('{"bitlinear_plan": 1, "layers": {"a": 4}}', "'a' is 4; give a scheme such as 'w4a8-nonorm', or null"),
        ('{"bitlinear_plan": 1, "default": "w8"}', "'default': not a scheme: 'w8'"),
        ('{"bitlinear_plan": 1, "layers": {"a": null, "a": "w8a8"}}', "'a' is there twice"),
        ("[" * 100_000, "is no JSON"),
    ],
)
def test_a_file_that_holds_no_plan_is_refused_in_one_line(tmp_path, content, words):
    file = tmp_path / "plan.json"
    file.write_text(content)
    with pytest.raises(PlanError) as refused:
        Plan.load(file)
    assert words in str(refused.value)
    assert str(file) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_said(tmp_path):
    for given in (tmp_path / "none.json", str(tmp_path / "none.json"), tmp_path):
        with pytest.raises(PlanError, match="cannot be read"):
            Plan.of(given)
    with pytest.raises(PlanError, match="is a int; layers are given by qualified names"):
        Plan.of({3: W8})
    with pytest.raises(TypeError, match="scheme=3 is a int; give a Scheme"):
        Plan.of(3)


def test_plans_need_no_torch():
    code = "import sys, bitlinear.models.plan; assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
