"""Where the code of a gate comes from: from its two checkouts, or the gate has nothing to say.

A contestant that Python found elsewhere, in an installed copy, say, is the same on both sides, and whatever was changed
would be called equal.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from harness.errors import NothingMeasuredError, UsageError
from harness.gate.checkouts import Checkout, Checkouts, locks_among
from harness.gate.named_files import missing
from harness.gate.pair_controller import SIDES, CasePair
from harness.judge.judge import Judgement
from harness.model import Side
from harness.model.messages import Fingerprint, Prepare, TakeFingerprint
from harness.runner.pool import WorkerPool
from harness.runner.process import WorkerLostError, WorkerProcess
from harness.runner.worker_link import Worker

CURE = "uninstall that copy, or gate from the folder that holds the package"


@dataclass
class Provenance:
    """What either side has loaded, asked of its workers as the gate goes on."""

    checkouts: Checkouts
    loaded: dict[Side, Fingerprint] = field(default_factory=dict)
    _waiting: set[tuple[Side, str]] = field(default_factory=set)
    """Sides and those of their implementations that nobody has been seen to build."""
    _named: list[str] = field(default_factory=list)
    """Contestants that are given as `package.module:object`."""

    def __post_init__(self) -> None:
        self.changed = self.checkouts.changed
        self._sides: dict[Side, Checkout] = {"base": self.checkouts.base, "head": self.checkouts.head}

    def expect(self, case_pairs: Iterable[CasePair]) -> None:
        """What is going to be measured."""
        self._waiting = {
            (side, case_pair.case.implementation) for case_pair in case_pairs for side in case_pair.contests
        }
        self._named = sorted({name for _, name in self._waiting if ":" in name})

    def after_duel(self, _: int, case_pair: CasePair, side: Side, worker: Worker) -> None:
        """Ask the worker, if it has built somebody new. Raises as `conclude`."""
        if (side, case_pair.case.implementation) in self._waiting and isinstance(worker, WorkerProcess):
            with suppress(WorkerLostError):  # its records are made: whoever was not seen is asked for at the end
                self._ask(side, case_pair, worker)

    def conclude(
        self, case_pairs: Iterable[CasePair], judgement: Judgement, pools: Mapping[Side, WorkerPool], limit: float
    ) -> None:
        """See who was measured and not seen, before a gate was gone on with, say.

        Raises UsageError where a side has taken from elsewhere what it should have had of its own checkout, and
        NothingMeasuredError where neither has loaded anything from there.
        """
        measured = _measured(judgement)
        for case_pair in case_pairs:
            for side, contest in case_pair.contests.items():
                if (side, case_pair.case.name) in measured and (side, case_pair.case.implementation) in self._waiting:
                    worker = pools[side].start()
                    try:
                        worker.ask(Prepare(case_pair.case, contest.seed), limit)
                        self._ask(side, case_pair, worker)
                    except WorkerLostError as lost:
                        name = case_pair.case.implementation
                        raise UsageError(f"cannot tell from where {side} loaded {name}: {lost.reason}") from lost
                    finally:
                        worker.close()
        self._require_own()

    def _require_own(self) -> None:
        if any(one.mine for one in self.loaded.values()):
            return
        if self._named:  # had it been loaded from elsewhere, `take_in` would have refused it
            raise NothingMeasuredError(
                f"neither side could load {', '.join(self._named)}, so nothing of {self.checkouts.repository} was"
                " measured: gate from the folder that holds the package or its src"
            )
        raise NothingMeasuredError(
            f"both sides ran installed code alone, and nothing of {self.checkouts.repository}: name its contestants, as"
            " in --impl package.module:object"
        )

    def _ask(self, side: Side, case_pair: CasePair, worker: WorkerProcess) -> None:
        name = case_pair.case.implementation
        changed = tuple(file for file in self.changed if file.endswith(".py"))
        references = (name,) if ":" in name else ()
        root, repository = str(self._sides[side].root), str(self.checkouts.repository)
        self.take_in(side, worker.loaded(TakeFingerprint(root, repository, references, changed)))
        self._waiting.discard((side, name))
        if not self._waiting:
            self._require_own()

    def take_in(self, side: Side, loaded: Fingerprint) -> None:
        """Keep it. Raise UsageError for what the side should have had of its own checkout and took from elsewhere."""
        for module, place in loaded.elsewhere.items():
            raise UsageError(
                f"{side} imported the contestant's module {module} from {place}, which is in neither checkout, so both"
                f" sides would run the same code: {CURE}"
            )
        if loaded.strays:
            raise UsageError(
                f"{side} imported {loaded.strays[0]}, which is not in its own checkout, so both sides would run the"
                f" same code: {CURE}"
            )
        for file, place in loaded.copies.items():
            raise UsageError(
                f"{side} imported {place} in place of {file}, so the gate would not see the change to it: {CURE}"
            )
        root, tree = self._sides[side].root, self.checkouts.repository
        for file in filter(self.checkouts.ignored, (*loaded.absent, *missing(loaded.files, root, tree))):
            raise UsageError(
                f"{side} needs {file}, which git ignores, so neither checkout has it: make it in both by --build"
                " COMMAND, or commit it"
            )
        self.loaded[side] = loaded

    def notes(self) -> tuple[str, ...]:
        """What is the same on both sides, and what differs besides the code."""
        notes = []
        if set(self.loaded) == set(SIDES):
            notes.append(_files(self.loaded["base"].files, self.loaded["head"].files))
        if not self.changed:
            notes.append("both revisions have the same files")
        if locks := locks_among(self.changed):
            differ = "differs" if len(locks) == 1 else "differ"
            notes.append(f"{', '.join(locks)} {differ}, but both sides ran with the packages that are installed here")
        if empty := self.checkouts.empty:
            folders = f"the folder {empty[0]} is" if len(empty) == 1 else f"the folders {_few(empty)} are"
            notes.append(f"{folders} empty on both sides: the repository for it is not on this disk")
        return tuple(notes)


def _measured(judgement: Judgement) -> set[tuple[Side, str]]:
    """The sides and the names of cases that there is a number for."""
    found: set[tuple[Side, str]] = set()
    for pair in judgement.pairs:
        found |= {("base", pair.case.name)} if pair.baseline and pair.baseline.metrics else set()
        found |= {("head", pair.case.name)} if pair.candidate and pair.candidate.metrics else set()
    return found


def _files(base: Mapping[str, str], head: Mapping[str, str]) -> str:
    if base == head:
        return f"both sides loaded the same {len(base)} files, binaries included"
    everything = {**base, **head}
    differing = sorted(name for name in everything if base.get(name) != head.get(name))
    verb = "differs" if len(differing) == 1 else "differ"
    return f"{len(differing)} of the {len(everything)} files that either side loaded {verb}: {_few(differing)}"


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
