"""Whether an implementation computes what the contract does, of outputs that no two right implementations share.

A code that lies at a tie flips by a rounding, and layers multiply the difference: in whole models a nudge of 1e-7 of
the input moves logits by several per cent. So what is compared is a score by document, and the allowance is what such
nudges do to the contract's own model.
"""

import math
from collections.abc import Sequence

NUDGE = 1e-7
"""Relative, of the input embeddings: about a rounding of float32."""
NUDGES = 3
FACTOR = 3.0
"""An implementation rounds in every layer, and not only at the input; errors of few documents scatter."""
FLOOR = 1e-5
"""Relative to the scores: what rounding alone may do, where no code flips."""


def outside(scores: Sequence[float], contract: Sequence[float], nudged: Sequence[Sequence[float]], what: str) -> str:
    """Why `scores` by document are not the contract's, or nothing. `nudged` are the contract's with nudged inputs.

    The root mean square of the differences may be FACTOR times that of the nudges.
    """
    off = _rms([one - right for one, right in zip(scores, contract, strict=True)])
    spread = _rms([one - right for some in nudged for one, right in zip(some, contract, strict=True)])
    allowed = FACTOR * max(spread, FLOOR * _rms(contract))
    if off <= allowed:
        return ""
    return (
        f"wrong answer: {what} by document is off by {off:.3g} from the contract's;"
        f" nudges of {NUDGE:g} of the input move it by {spread:.2g}, and {allowed:.2g} are allowed"
    )


def _rms(values: Sequence[float]) -> float:
    return math.sqrt(sum(value * value for value in values) / len(values))
