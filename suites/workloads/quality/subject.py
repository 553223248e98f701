"""What a model is asked: documents, and by how much its answers differ from those of full precision."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TypeAlias

from torch import nn

Scores: TypeAlias = Mapping[str, float | tuple[float, ...]]
"""By metric one value a document, or one of all together."""


class Subject(ABC):
    """Documents for one model, with the outputs of full precision, which are computed once."""

    model: nn.Module
    """In full precision."""
    judged: str
    """The metric whose values by document tell a right implementation from a wrong one."""

    @abstractmethod
    def answer(self, model: nn.Module) -> object:
        """One short call: the first document."""

    @abstractmethod
    def scores(self, model: nn.Module) -> Scores:
        """Those of a model with quantised layers, on all documents."""

    def judged_scores(self, model: nn.Module) -> tuple[float, ...]:
        """Those of `judged` alone."""
        values = self.scores(model)[self.judged]
        assert isinstance(values, tuple)
        return values
