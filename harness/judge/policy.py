"""What a judgement means for whoever asked: the exit code, and how small a slowdown may pass unseen."""

import math
from collections import Counter
from typing import Literal, TypeAlias

from harness.judge.judge import Judgement

Policy: TypeAlias = Literal["pr", "release"]
"""Under `release` an inconclusive row fails the gate; under `pr` it is shown."""


def exit_code(judgement: Judgement, policy: Policy) -> int:
    """0 only when something was judged ok or improved, and nothing worse: 1 regressed, 4 a sentinel moved, 5 not
    measured or nothing judged, 2 incomparable, 3 inconclusive (under `pr`, only when nothing of that metric passed), in
    this order.
    """
    words = Counter(verdict.word for verdict in judgement.judged)
    inconclusive = {verdict.metric for verdict in judgement.judged if verdict.word == "inconclusive"}
    passed = {verdict.metric for verdict in judgement.judged if verdict.word in ("ok", "improved")}
    if words["regressed"]:
        return 1
    if judgement.moved:
        return 4
    if words["not_measured"]:
        return 5
    if words["incomparable"]:
        return 2
    if inconclusive and (policy == "release" or not inconclusive <= passed):
        return 3
    return 0 if passed else 5


def detectable(judgement: Judgement) -> float:
    """The slowdown that would have been found in nine of ten repetitions in every latency judged; NaN without any."""
    known = [one.detectable for one in judgement.verdicts if one and not math.isnan(one.detectable)]
    return max(known, default=math.nan)
