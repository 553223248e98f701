"""Whole models: the answer in a sentence, before any layer's."""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.analysis.view import View
from harness.analysis.whole_model.step import steps
from harness.show.model.steps import NO_DECODER, answer, groups, most, table, untold
from harness.show.report.tables import Sheet, sheet_of


@dataclass(frozen=True)
class ModelAnswer:
    """One model at one setting."""

    sentence: str
    more: Sequence[str]
    """What bounds it, and what it leaves out."""
    sheet: Sheet | None
    """None where there is no step."""


def model_answers(view: View, suite: str) -> list[ModelAnswer]:
    """Of the models that `suite` of a run is about."""
    members = [result for result in view.results if result.case.suite == suite]
    of_models = steps(view.stored, members)
    found = []
    for number, group in enumerate(groups(of_models)):
        more = [*most(group, view.stored.run.ceilings), *[NO_DECODER] * any(step.rest is None for step in group)]
        sheet = sheet_of(f"model-{number}", group[0].model.name, table(group))
        found.append(ModelAnswer(answer(group), more, sheet))
    if not found and len({result.case.suite for result in view.results}) > 1:
        return []  # the suite may be about layers alone
    return [*found, *(ModelAnswer(why, (), None) for why in untold(view.stored.run.models, of_models))]
