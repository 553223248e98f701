"""How many tokens a second a machine can make of a model at most, one after the other."""

from harness.analysis.roofline import Work, least_seconds
from harness.model import Ceilings
from harness.model.whole_model import WholeModel


def most_tokens(model: WholeModel, scheme: str, ceilings: Ceilings) -> float:
    """Tokens a second if every product took the least time that `ceilings` allow, and all else took none.

    For one sequence: every token reads all weights that it uses. 0 where no ceiling is known, or there is no product.
    """
    read, working_set = model.bytes_read(scheme)
    slowest = max(least_seconds(Work(model.operations, read, working_set), ceilings).values(), default=0.0)
    return 1 / slowest if slowest else 0.0
