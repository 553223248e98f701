"""Whole models: the answer in a sentence, before any layer's."""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.analysis.view import View
from harness.analysis.whole_model.step import steps
from harness.show.model.steps import LEGEND, NO_DECODER, answer, groups, most, table
from harness.show.report.tables import Sheet, sheet_of


@dataclass(frozen=True)
class ModelAnswer:
    """One model at one setting."""

    sentence: str
    more: Sequence[str]
    """What bounds it, and what it leaves out."""
    sheet: Sheet


def model_answers(view: View, suite: str) -> list[ModelAnswer]:
    """Of the models that `suite` of a run is about."""
    members = [result for result in view.results if result.case.suite == suite]
    found = []
    for number, group in enumerate(groups(steps(view.stored, members))):
        more = [*most(group, view.stored.run.ceilings), *[NO_DECODER] * any(step.rest is None for step in group)]
        sheet = sheet_of(f"model-{number}", group[0].model.name, table(group), LEGEND.replace("\n", " "))
        found.append(ModelAnswer(answer(group), more, sheet))
    return found
