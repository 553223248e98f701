"""A live gate: which cases two revisions share, who goes on after a look, and when it is over."""

import math
import statistics
import time
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from types import MappingProxyType
from typing import Protocol

import msgspec

from harness.analysis.pairs import match
from harness.analysis.results import results
from harness.errors import BitbenchError, NothingMeasuredError, UsageError
from harness.gate.pair_controller import SIDES, CasePair
from harness.judge.judge import Judgement, judge
from harness.judge.sequential import CONFIRMING, FRESH, Sequential
from harness.judge.verdict import Verdict
from harness.model import Case, Record, Request, Side, role_of
from harness.model.messages import Description
from harness.model.metrics import METRICS
from harness.model.rules import Rules
from harness.model.suite import Registry
from harness.model.whole_model import WholeModel
from harness.runner.plan import Contest, make_plan, metrics_of, require_devices


class BrokenHeadError(BitbenchError):
    """The candidate cannot be measured at all: that is worse than slow."""

    exit_code = 1


class RoundController(Protocol):
    """Who measures both sides turn by turn."""

    def round(self, number: int, case_pairs: Sequence[CasePair]) -> Generator[dict[Side, Record], None, None]:
        """The records of each case pair in round `number`."""


class GateWatcher(Protocol):
    """Who watches a gate."""

    def measured(self, number: int, done: int, of: int, records: Mapping[Side, Record]) -> None:
        """A case pair has been measured in round `number`: `done` of the round's `of`."""

    def looked(self, rounds: int, judgement: Judgement, going_on: int) -> None:
        """After `rounds` rounds the gate has looked at them; so many cases go on."""


def plan_case_pairs(
    registry: Registry,
    request: Request,
    descriptions: Mapping[Side, Description],
    models: Sequence[WholeModel] = (),
) -> list[CasePair]:
    """Every case of either side, and the sentinels last, if there is anything to time; `models` as in `make_plan`.

    Raises UsageError for a name or value that neither side knows or a device that cannot be used here, and
    NothingMeasuredError when no case is left.
    """
    found: dict[Side, dict[str, tuple[Case, Contest]]] = {}
    for side in SIDES:
        asked = _known(registry, request, descriptions[side], descriptions.values())
        contests = make_plan(asked, registry, descriptions[side], models) if asked else []
        require_devices(contests, descriptions[side])
        found[side] = {case.name: (case, contest) for contest in contests for case in contest.cases}
    case_pairs = []
    for name in {**found["base"], **found["head"]}:
        known = {side: found[side][name] for side in SIDES if name in found[side]}
        case = next(iter(known.values()))[0]
        case_pairs.append(CasePair(case, {side: contest for side, (_, contest) in known.items()}))
    return (
        [*case_pairs, *_sentinels(registry, request, descriptions)]
        if any(case_pair.is_timed for case_pair in case_pairs)
        else case_pairs
    )


def _sentinels(registry: Registry, request: Request, descriptions: Mapping[Side, Description]) -> list[CasePair]:
    suites = tuple(name for name in registry.sentinels if name not in request.suites)
    asked = Request(suites=suites, device=request.device, threads=request.threads, seed=request.seed)
    if not suites:
        return []
    planned = {
        side: {case: contest for contest in make_plan(asked, registry, descriptions[side]) for case in contest.cases}
        for side in SIDES
    }
    return [CasePair(case, {side: planned[side][case] for side in SIDES}) for case in planned["base"]]


def _known(registry: Registry, request: Request, here: Description, everybody: Iterable[Description]) -> Request | None:
    """The request less the implementations that only the other side has; None if it asked for nobody else."""
    declared = [name for suite in request.suites for name in registry.suite(suite).implementations]
    elsewhere = {name for one in everybody for name in one.implementations} - {*here.implementations, *declared}
    names = tuple(name for name in request.implementations if name not in elsewhere)
    if request.implementations and not names:
        return None
    return msgspec.structs.replace(request, implementations=names)


class LiveGate:
    """Measures case pairs round by round until every case is decided, or the rounds or the time are over."""

    def __init__(
        self,
        case_pairs: Sequence[CasePair],
        controller: RoundController,
        rules: Rules,
        metrics: Collection[str],
        deadline: float = math.inf,
        now: Callable[[], float] = time.monotonic,
        earlier: Mapping[Side, Iterable[Record]] = MappingProxyType({}),
    ) -> None:
        """`deadline` is on the clock of `now`, in seconds. `earlier` are the records of a gate that is gone on with."""
        cases = [case_pair for case_pair in case_pairs if case_pair.case.suite not in _sentinel_suites(case_pairs)]
        if not cases:
            raise NothingMeasuredError("no case is left to be gated; `bitbench list` shows the suites")
        self.case_pairs = case_pairs
        self.controller = controller
        self.rules = rules
        self.metrics = metrics
        declared = metrics_of(contest for case_pair in case_pairs for contest in case_pair.contests.values())
        self._known = {**METRICS, **{metric.name: metric for metric in declared}}
        self.now = now
        self.records: dict[Side, list[Record]] = {side: [] for side in SIDES}
        self.reached = 0
        self._deadline = deadline
        self._durations: list[float] = []
        """Seconds of each case pair after the first round, which also counts bytes and compiles."""
        self._earlier: dict[int, dict[str, dict[Side, Record]]] = {}
        """By round and case."""
        for side, records in earlier.items():
            for record in records:
                self._earlier.setdefault(record.round, {}).setdefault(record.case.name, {})[side] = record
        self._over: set[Case] = set()
        """Cases that came to an end on a side: there is nothing left to compare."""

    def run(self, watcher: GateWatcher, keep: Callable[[Mapping[Side, Record]], None]) -> Judgement:
        """Give every pair of records to `keep` as it is made; the judgement at the end.

        Raises BrokenHeadError or UsageError when a side cannot be measured at all, NothingMeasuredError when the time
        is over before every case had a round.
        """
        waiting: Sequence[CasePair] = self.case_pairs
        if self.now() >= self._deadline:
            self._require_all(0, 0, len(waiting))
        while waiting and self.now() < self._deadline:
            if not self._rounds(waiting, watcher, keep):
                break
            judgement = self._judged(Sequential.so_far(self.rules, self.reached))
            waiting = self._going_on(judgement)
            watcher.looked(self.reached, judgement, len(waiting))
        return self.judge()

    def judge(self) -> Judgement:
        """What the rounds say when there will be no more of them."""
        return self._judged(Sequential.ended(self.rules, self.reached))

    def _judged(self, design: Sequential) -> Judgement:
        base, head = (results(self.records[side], known=self._known) for side in SIDES)
        pairs = match(base, head, self.metrics, paired=True)
        return judge(pairs, (), design)

    def _rounds(
        self, waiting: Sequence[CasePair], watcher: GateWatcher, keep: Callable[[Mapping[Side, Record]], None]
    ) -> bool:
        """Measure until the next look; False when the time was over before."""
        for number in range(self.reached, self._next_look()):
            if number and not self._has_cases():
                return False
            case_pairs = [
                case_pair
                for case_pair in waiting
                if number == 0 or (case_pair.is_timed and case_pair.case not in self._over)
            ]
            ended = self.now()
            self.reached = number + 1  # also where the time ends within it: that is how it is read back
            left = [case_pair for case_pair in case_pairs if not self._recall(case_pair, number)]
            with closing(self.controller.round(number, left)) as measured:
                for done, records in enumerate(measured, start=1 + len(case_pairs) - len(left)):
                    began, ended = ended, self.now()
                    if number:
                        self._durations.append(ended - began)
                    keep(records)
                    self._take_in(records)
                    watcher.measured(number, done, len(case_pairs), records)
                    if not self._has_time_for(1):
                        self._require_all(number, done, len(case_pairs))
                        return False
            if number == 0:
                self._reject_broken_sides()
        return True

    def _has_cases(self) -> bool:
        """Whether there are latencies, decided or not, that sentinels watch over."""
        watched = _sentinel_suites(self.case_pairs)
        timed = [case_pair for case_pair in self.case_pairs if case_pair.is_timed and case_pair.case not in self._over]
        return any(case_pair.case.suite not in watched for case_pair in timed)

    def _recall(self, case_pair: CasePair, number: int) -> bool:
        """Whether it was measured in that round before this process began; half a pair counts for nothing."""
        records = self._earlier.get(number, {}).get(case_pair.case.name, {})
        whole = records.keys() == case_pair.contests.keys()
        if whole:
            self._take_in(records)
        return whole

    def _take_in(self, records: Mapping[Side, Record]) -> None:
        for side, record in records.items():
            self.records[side].append(record)
            if record.outcome != "measured":
                self._over.add(record.case)

    def _require_all(self, number: int, done: int, of: int) -> None:
        """Raise where the time is over before every case had its first round: what has no row could not fail."""
        if number == 0 and done < of:
            raise NothingMeasuredError(
                f"the budget was spent after {done} of {of} cases, and the others were never measured;"
                " raise --budget, or choose fewer cases"
            )

    def _next_look(self) -> int:
        later = [look for look in self.rules.looks if look > self.reached]
        return later[0] if later else self.rules.looks[-1] + CONFIRMING

    def _has_time_for(self, case_pairs: int) -> bool:
        """Whether so many will probably be over in time, even if one is the longest: with its workers' start."""
        known = self._durations or [0.0]
        return self.now() + max(case_pairs * statistics.fmean(known), max(known)) < self._deadline

    def _going_on(self, judgement: Judgement) -> list[CasePair]:
        """The case pairs that another look can change. Sentinels ride along.

        Everybody goes on for the geometric mean, unless the time is too short for that and better spent on the cases
        that are open.
        """
        if judgement.moved or self.reached >= self.rules.looks[-1] + CONFIRMING:
            return []
        mean, red = judgement.geometric_mean, any(one and one.word == "regressed" for one in judgement.verdicts)
        # Where a case is red, what all of them together say changes nothing any more.
        of_all = mean is not None and self._is_open(mean) and not red
        open_cases = {one.case.name for one in judgement.verdicts if one and one.looks and self._is_open(one)}
        accused = {one.case.name for one in judgement.sentinels if one.looks and one.looks[-1].state == "accused"}
        timed = [case_pair for case_pair in self.case_pairs if case_pair.is_timed and case_pair.case not in self._over]
        cases = [case_pair for case_pair in timed if case_pair.case.name in open_cases]
        if of_all:
            rounds = FRESH if mean and mean.looks[-1].state == "accused" else self._next_look() - self.reached
            if not cases or self._has_time_for(rounds * len(timed)):
                return timed
        if not cases and not accused:
            return []
        watched = _sentinel_suites(self.case_pairs)
        return [case_pair for case_pair in timed if case_pair in cases or case_pair.case.suite in watched]

    def _is_open(self, verdict: Verdict) -> bool:
        """Whether another look may settle it; after the last planned one only what is accused."""
        state = verdict.looks[-1].state if verdict.looks else "open"
        return state == "accused" or (state == "open" and self.reached < self.rules.looks[-1])

    def _reject_broken_sides(self) -> None:
        """After the first round: raise where a side could not run a single case that the other could."""
        watched = _sentinel_suites(self.case_pairs)
        for side, other in zip(SIDES, reversed(SIDES), strict=True):
            mine = [record for record in self.records[side] if record.case.suite not in watched]
            theirs = [record for record in self.records[other] if record.case.suite not in watched]
            ended = [record for record in mine if record.outcome not in ("measured", "skipped")]
            if mine and len(ended) == len(mine) and any(record.outcome == "measured" for record in theirs):
                raise broken(side, f"no case of it can be measured: {ended[0].reason}")


def broken(side: Side, reason: str) -> BitbenchError:
    """The error that ends a gate of which one side cannot be measured at all."""
    if side == "head":
        return BrokenHeadError(f"head is broken: {reason}")
    return UsageError(f"base is broken: {reason}; give another --base")


def _sentinel_suites(case_pairs: Iterable[CasePair]) -> set[str]:
    """The suites whose cases no change can move."""
    return {
        case_pair.case.suite
        for case_pair in case_pairs
        for contest in case_pair.contests.values()
        if role_of(contest.facts) == "sentinel"
    }
