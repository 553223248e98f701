"""A machine that does not exist, as noisy as one likes: suites of cases of known truth, gated by the real decision.

A round of a case is a series of blocks in ABBA or BAAB order, each visit a warm-up and two samples, over a speed that
changes with time; what comes of it is the real estimator's, for many suites at once. All is on the log scale.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.special import stdtr

from harness.analysis.pairs import LogsByRound, mean_by_round
from harness.judge.rules import Rules
from harness.judge.sequential import CONFIRMING, CaseHistory, Evidence, Sequential, improved

BLOCKS = 16
"""Of a case pair: a second in all, less what the canary takes."""
BLOCK = 0.06
"""Seconds from one block to the next."""
PAUSE = 1.0
"""Seconds between two case pairs, in which cases are built and checked."""
ABBA = np.array([0, 0, 1, 1, 1, 1, 0, 0])
"""The side of each of a block's samples; BAAB is its mirror."""
SLOTS = np.array([1, 2, 4, 5, 7, 8, 10, 11]) * BLOCK / 12
"""Seconds after a block's beginning at which each is taken."""

Times = np.ndarray
"""Of every sample, in seconds: (suites, cases, rounds, blocks, slots)."""
Speed = Callable[[np.random.Generator, Times], np.ndarray]
"""The log of how much slower the machine is at each time."""


def steady(rng: np.random.Generator, times: Times) -> np.ndarray:
    """No slower at any time."""
    return np.float32(0.0)


def drifting(rng: np.random.Generator, times: Times) -> np.ndarray:
    """A sine of 25 % over three minutes, and a random walk of 15 % in a minute."""
    phases = rng.uniform(0, 2 * np.pi, (len(times), 1, 1, 1, 1)).astype(np.float32)
    sine = 0.25 * np.sin(2 * np.pi / 180 * times + phases)
    case_pairs = rng.standard_normal((*times.shape[:3], BLOCKS * len(SLOTS)), np.float32)
    walk = np.cumsum(case_pairs, -1, out=case_pairs).reshape(times.shape)
    walk *= 0.15 * np.sqrt(BLOCK / len(SLOTS) / 60)
    return sine + walk


def bursty(rng: np.random.Generator, times: Times) -> np.ndarray:
    """A neighbour takes 30 to 100 % for 0.1 to 3 s, about a third of the time."""
    case_pairs = times.shape[:3]
    slower = np.zeros(times.shape, np.float32)
    since = times - times[..., :1, :1]
    start = rng.uniform(-3.0, 1.0, case_pairs)
    for _ in range(3):
        end = start + np.exp(rng.uniform(np.log(0.1), np.log(3.0), case_pairs))
        taken = np.log1p(rng.uniform(0.3, 1.0, case_pairs)).astype(np.float32)
        first, last, height = (one.astype(np.float32)[..., None, None] for one in (start, end, taken))
        slower += height * ((first <= since) & (since < last))
        start = end + rng.exponential(1.5, case_pairs)
    return slower


@dataclass(frozen=True)
class Machine:
    """How noisy it is."""

    luck: float
    """Standard deviation of a process's own shift; half of its variance is shared by all cases in the process."""
    noise: float
    """Of a sample."""
    heavy: bool = False
    """Whether both have the tails of Student's t with two degrees of freedom (luck: three), and not the normal's."""
    speed: Speed = steady

    def rounds(self, rng: np.random.Generator, truth: np.ndarray, suites: int, rounds: int) -> np.ndarray:
        """Log ratios of head to base of (suites, cases, rounds); `truth` has one log a case."""
        sides, first = self.samples(rng, suites, len(truth), rounds)
        return estimate(sides, first) + self._lucks(rng, suites, len(truth), rounds) + truth[:, None]

    def samples(self, rng: np.random.Generator, suites: int, cases: int, rounds: int) -> tuple[np.ndarray, np.ndarray]:
        """The logs of all samples in the order taken, and the side that was first in each block."""
        shape = (suites, cases, rounds, BLOCKS, len(SLOTS))
        starts = (np.arange(rounds)[None, :] * cases + np.arange(cases)[:, None]) * (BLOCKS * BLOCK + PAUSE)
        within = np.arange(BLOCKS)[:, None] * BLOCK + SLOTS
        times = (starts[..., None, None] + within).astype(np.float32)
        logs = self.noise * self._draw(rng, shape) + self.speed(rng, np.broadcast_to(times, shape))
        return logs, rng.integers(0, 2, shape[:-1], np.int8)

    def _lucks(self, rng: np.random.Generator, suites: int, cases: int, rounds: int) -> np.ndarray:
        shared, own = ((suites, one, rounds, 2) for one in (1, cases))
        draw = (lambda shape: rng.standard_t(3, shape) / np.sqrt(3)) if self.heavy else rng.standard_normal
        sides = self.luck * np.sqrt(0.5) * (draw(shared) + draw(own))
        return np.asarray(sides[..., 1] - sides[..., 0])

    def _draw(self, rng: np.random.Generator, shape: Sequence[int]) -> np.ndarray:
        if not self.heavy:
            return rng.standard_normal(shape, np.float32)
        uniform = rng.random(shape, np.float32).clip(1e-7, 1 - 1e-7)
        return (2 * uniform - 1) / np.sqrt(2 * uniform * (1 - uniform))  # the quantile of t with two degrees of freedom


def estimate(logs: np.ndarray, first: np.ndarray) -> np.ndarray:
    """What `intervals.log_ratio(apart=True)` makes of each round: (..., blocks, slots) become (...)."""
    outer, inner = logs[..., ABBA == 0].min(-1), logs[..., ABBA == 1].min(-1)
    ratios = np.sort(np.where(first == 0, inner - outer, outer - inner), -1)
    cut = BLOCKS // 4
    return np.asarray(ratios[..., cut : BLOCKS - cut].mean(-1, dtype=np.float64))


MACHINES: Mapping[str, Machine] = {
    "quiet": Machine(0.003, 0.011),
    "typical": Machine(0.0085, 0.018),
    "heavy-tailed": Machine(0.0085, 0.018, heavy=True),
    "drifting": Machine(0.0085, 0.018, speed=drifting),
    "bursty": Machine(0.0085, 0.018, speed=bursty),
}
"""A round of `quiet` has a standard deviation of about 0.5 %, one of `typical` of 1.3 %."""


@dataclass(frozen=True)
class Gated:
    """What became of one suite."""

    states: tuple[str, ...]
    """By case: open, accused, regressed or ok."""
    mean: str
    """Of the geometric mean."""
    rounds: float
    """That a case took, on average over its cases."""
    faster: set[int]
    """The cases that are improved; told only of suites that were not spared the decision."""

    @property
    def red(self) -> tuple[int, ...]:
        """The cases that are."""
        return tuple(case for case, state in enumerate(self.states) if state == "regressed")

    @property
    def is_red(self) -> bool:
        """Any case, or all together."""
        return bool(self.red) or self.mean == "regressed"


@dataclass
class _Fates:
    """Of many suites, while they are measured."""

    taken: np.ndarray
    """(suites, cases, rounds); NaN where nothing was measured."""
    states: np.ndarray
    """(suites, cases and their geometric mean)"""
    suspect: np.ndarray
    """(suites, 2): whether a case may have been accused, and whether their geometric mean may."""
    used: np.ndarray
    faster: list[set[int]]

    @classmethod
    def of(cls, suites: int, cases: int, rounds: int) -> "_Fates":
        states = np.full((suites, cases + 1), "open", object)
        taken, nothing = np.full((suites, cases, rounds), np.nan), np.zeros(suites, int)
        return cls(taken, states, np.zeros((suites, 2), bool), nothing, [set() for _ in range(suites)])

    def told(self) -> list[Gated]:
        rows = zip(self.states, self.used, self.faster, strict=True)
        return [
            Gated(tuple(states[:-1]), states[-1], used / (len(states) - 1), faster) for states, used, faster in rows
        ]


@dataclass
class Suites:
    """Many suites at once, each measured look by look as `harness.gate.live` does."""

    machine: Machine
    truth: Sequence[float]
    """By case: 0.03 is 3 % slower."""
    count: int
    seed: int = 0
    rules: Rules = field(default_factory=Rules)
    abridged: bool = True
    """Whether a suite is spared the decision, which is pure Python, as long as none of its cases can be accused: none
    is below the first and strictest of Holm's levels. Then all that a look can do is to acquit."""

    def gate(self) -> list[Gated]:
        """What became of each."""
        rng, logs = np.random.default_rng(self.seed), np.log1p(np.array(self.truth))
        last = self.rules.looks[-1]
        fates = _Fates.of(self.count, len(logs), last + CONFIRMING)
        going = np.ones((self.count, len(logs)), bool)
        before = 0
        for look in (*self.rules.looks, last + CONFIRMING):
            suites = np.flatnonzero(going.any(1))
            for some in np.array_split(suites, len(suites) // 100 + 1):  # the samples of more would fill the memory
                rounds = self.machine.rounds(rng, logs, len(some), look - before)
                fates.taken[some, :, before:look] = np.where(going[some][..., None], rounds, np.nan)
            fates.used += going.sum(1) * (look - before)
            self._look(fates, suites, look)
            waiting = (fates.states == "accused") | ((fates.states == "open") & (look < last))
            going = waiting[:, :-1] | waiting[:, -1:]
            before = look
        return fates.told()

    def _look(self, fates: "_Fates", suites: np.ndarray, look: int) -> None:
        """Bring the states of `suites` up to date."""
        taken, states, suspect, faster = fates.taken, fates.states, fates.suspect, fates.faster
        cases, mean = taken[suites, :, :look], taken[suites, :, :look].mean(1, keepdims=True)
        above, below = (
            np.concatenate(both, 1)
            for both in zip(
                _chances(cases, np.log1p(self.rules.margin)),
                _chances(mean, np.log1p(self.rules.geometric_mean)),
                strict=True,
            )
        )
        levels = np.full(cases.shape[1] + 1, self.rules.red_level / cases.shape[1])
        levels[-1] = self.rules.red_level
        is_open = states[suites] == "open"
        accused = ~np.isnan(above) & (above <= 1.001 * levels) & is_open
        suspect[suites, 0] |= accused[:, :-1].any(1) | (not self.abridged)
        suspect[suites, 1] |= accused[:, -1] | (not self.abridged)
        if look <= self.rules.looks[-1]:
            spared = ~suspect[suites][:, [0] * cases.shape[1] + [1]]
            states[suites] = np.where(is_open & (below <= self.rules.ok_level) & spared, "ok", states[suites])
        for suite in suites[suspect[suites, 0]]:
            courses = self._decided(_by_round(taken[suite], look), self.rules.margin, look)
            states[suite, :-1] = [course.state for course in courses.values()]
            faster[suite] = {int(name) for name in improved(courses, self.rules)}
        for suite in suites[suspect[suites, 1]]:
            rounds = {"": mean_by_round(_by_round(taken[suite], look).values())}
            states[suite, -1] = self._decided(rounds, self.rules.geometric_mean, look)[""].state

    def _decided(self, rounds: Mapping[str, LogsByRound], margin: float, look: int) -> dict[str, CaseHistory]:
        limit = math.log1p(margin)
        evidence = {name: Evidence(limit, logs, None) for name, logs in rounds.items()}
        return Sequential.so_far(self.rules, look).courses(evidence)


def _by_round(taken: np.ndarray, look: int) -> dict[str, LogsByRound]:
    """By case: the rounds until the look that it has."""
    return {
        str(case): {number: log for number, log in enumerate(logs) if not math.isnan(log)}
        for case, logs in enumerate(taken[:, :look].tolist())
    }


def _chances(logs: np.ndarray, limit: float) -> tuple[np.ndarray, np.ndarray]:
    """P values of: at most `limit`, and: at least. NaN, which accuses and acquits nobody, where rounds are missing."""
    rounds = logs.shape[-1]
    distance = (logs.mean(-1) - limit) / (logs.std(-1, ddof=1) / np.sqrt(rounds))
    return stdtr(rounds - 1, -distance), stdtr(rounds - 1, distance)
