"""What the controller and a worker say to each other: one JSON line a request, one a reply, never two at once."""

from typing import TypeAlias

import msgspec

from harness.model import Case, Outcome, Params
from harness.model.whole_model import WholeModel


class Describe(msgspec.Struct, frozen=True, tag="describe"):
    """Say what machine, torch, devices and implementations you see."""


class Find(msgspec.Struct, frozen=True, tag="find"):
    """Import the user's own implementation; fails with the reason why it is none."""

    implementation: str


class TakeFingerprint(msgspec.Struct, frozen=True, tag="whence"):
    """Say which files below `root` you have loaded, and what came from elsewhere that should have come from there.

    `root` stands for the repository in `instead_of`, whose `changed` files are those of Python that differ between the
    two sides; `references` are the user's own contestants, each as "module:object".
    """

    root: str
    instead_of: str
    references: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


class ReadModel(msgspec.Struct, frozen=True, tag="model"):
    """Read the linear products of a model, each with its bytes by `schemes`; of an empty `source` none, only names.

    `source` is a file or a folder, "module:object", or the name of a model that comes with the suites.
    """

    source: str
    schemes: tuple[str, ...]


class MeasureCeilings(msgspec.Struct, frozen=True, tag="ceilings"):
    """Measure how fast this machine reads memory and multiplies matrices, with `threads` threads on `device`.

    Answers one value a ceiling, by the names of `model.Ceilings`.
    """

    device: str
    threads: int


class Probe(msgspec.Struct, frozen=True, tag="probe"):
    """Judge the contestant of the case on other shapes and inputs than the case's own; fails when it is wrong there."""

    case: Case
    seed: int


class ObserveMachine(msgspec.Struct, frozen=True, tag="look"):
    """Run the canary, a fixed loop, and say what the machine did since the last look. Answers in `noise` alone."""


class Prepare(msgspec.Struct, frozen=True, tag="prepare"):
    """Build the case and call it once. Answers `prepare`, `first_call` (seconds) and what is stored."""

    case: Case
    seed: int


class Accuracy(msgspec.Struct, frozen=True, tag="accuracy"):
    """Judge the output of the prepared case; fails when it is wrong. Answers those of `metrics` that were asked for.

    `again`: an earlier round has judged it, so that it is enough to judge one output as those of visits are.
    """

    case: Case
    metrics: tuple[str, ...]
    again: bool = False


class Memory(msgspec.Struct, frozen=True, tag="memory"):
    """Build the case again under the allocators' eyes.

    Answers `resident_bytes`, the peaks that the workload has parts for, `peak_rss`, and `reserved_bytes` on a GPU.
    """

    case: Case
    seed: int


class Time(msgspec.Struct, frozen=True, tag="time"):
    """Visit the prepared case: call it `warmups` times, then time `samples` loops of `iterations` calls.

    Answers `latency`. Fails when the last output is wrong, or when inputs, weights or the harness itself are not what
    they were before.
    """

    case: Case
    iterations: int
    samples: int
    warmups: int = 1


class Release(msgspec.Struct, frozen=True, tag="release"):
    """Forget every prepared case."""


Question: TypeAlias = (
    Describe
    | Find
    | TakeFingerprint
    | ReadModel
    | MeasureCeilings
    | Probe
    | ObserveMachine
    | Prepare
    | Accuracy
    | Memory
    | Time
    | Release
)


class Answer(msgspec.Struct, frozen=True):
    """A reply. `values` holds raw values by metric; `noise` what else happened to the process meanwhile."""

    outcome: Outcome = "measured"
    reason: str = ""
    values: dict[str, tuple[float, ...]] = {}
    noise: dict[str, float] = {}
    warnings: tuple[str, ...] = ()
    trace: tuple[str, ...] = ()
    """Where the contestant raised, if it did: as `Record.trace`."""


class Description(msgspec.Struct, frozen=True):
    """The reply to `Describe`."""

    environment: dict[str, str | int | float]
    """The fields of `model.Environment` that only torch knows."""
    implementations: dict[str, str]
    """Name to one-line summary."""
    unavailable: dict[str, str]
    """Implementations that cannot run on `device` at all, with the sentence that says why."""
    devices: dict[str, str]
    """Every kind of device, the best first, with the sentence that says why it cannot be used; empty if it can."""
    doubts: tuple[str, ...] = ()
    """What is wrong with the list of implementations, in sentences for the user."""
    peers: dict[str, Params] = {}
    """Of `implementations` those that are other people's libraries, with what is known of each."""
    baselines: tuple[str, ...] = ()
    """Of `implementations` those that the others are compared with."""


class Fingerprint(msgspec.Struct, frozen=True):
    """The reply to `TakeFingerprint`."""

    files: dict[str, str]
    """Paths below the root, and names of libraries built elsewhere, each with the SHA-256 of the file."""
    strays: tuple[str, ...] = ()
    """Paths of what came from elsewhere in the checkout that this process stands for."""
    mine: bool = False
    """Whether anything came from below the root."""
    elsewhere: dict[str, str] = {}
    """Of the contestants asked for those that came from elsewhere: the module, and the file that it is."""
    copies: dict[str, str] = {}
    """Of the changed files those that another file was loaded in place of, and which."""
    absent: tuple[str, ...] = ()
    """Files that were looked for below the root and not found, and are in the repository that it stands for."""


class ModelReading(msgspec.Struct, frozen=True):
    """The reply to `ReadModel`."""

    model: WholeModel | None = None
    refusal: str = ""
    """The sentence that says why there is no model."""
    known: tuple[WholeModel, ...] = ()
    """Those that come with the suites, where no source was given."""


Reply: TypeAlias = Answer | Description | Fingerprint | ModelReading


class Sources(msgspec.Struct, frozen=True):
    """Where a worker's contestants come from."""

    folders: tuple[str, ...]
    """The first places that are searched for anything but the referee's own packages."""
    instead_of: str = ""
    """A checkout of which nothing else may be imported; its installed packages, in a virtual environment, may."""
    current: str = ""
    """The current folder, which relative paths begin at; by default that of the controller."""
    declaration: str = ""
    """The file of the package of suites, wherever else one of that name lies; empty where it is searched for."""


class Birth(msgspec.Struct, frozen=True):
    """The order for a worker that is forked from a template."""

    words: tuple[str, ...]
    """The command that would start it: `python -P -c PROGRAM`, then the folder of the harness, then its arguments."""
    environment: dict[str, str]
    """All of it."""
    current: str
    """The current folder."""
    compiles: bool = False
    """Whether the template imports torch's compiler first."""
