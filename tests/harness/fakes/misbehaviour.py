"""A package of suites whose contestants misbehave, each in the way its name says. Runs in real workers."""

import contextlib
import ctypes
import os
import sys
import time
from collections.abc import Callable, Mapping

import torch

from harness.model import Budget, Case
from harness.model.suite import Catalogue, Suite
from harness.model.workload import Check, Prepared, Workload


class SpeechlessError(Exception):
    def __str__(self) -> str:
        raise KeyError("words")


class Misbehaving(Workload):
    def __init__(self, case: Case, seed: int) -> None:
        super().__init__(case, seed)
        if case.implementation == "raises-in-init":
            raise RuntimeError("no such layer")

    def why_not(self) -> str | None:
        sentences = {"elsewhere": "it needs a quantum\udcff computer", "says-no": 1}
        return sentences.get(self.case.implementation)  # type: ignore[return-value]  # a contestant may return anything

    def build(self) -> "Deed":
        if self.case.implementation == "builds-a-function":
            return sum  # type: ignore[return-value]  # as a user may do who runs no type checker
        return Deed(self.case.implementation)


class Deed(Prepared):
    def __init__(self, name: str) -> None:
        self.name = name
        self.owner = os.getpid()
        self.calls = 0

    def __call__(self) -> object:
        return self.timed()

    @property
    def timed(self) -> Callable[[], object]:
        return getattr(self, f"_{self.name.replace('-', '_')}", self._honest)

    def check(self, metrics: frozenset[str]) -> Check:
        output = self()
        return Check({"agreement_sqnr": 140.0}, "" if output == 1 else f"wrong answer: {output}")

    def notes(self) -> tuple[str, ...]:
        return ("slow: no\nlibrary \udcff; install it",) if self.name == "notes" else ()

    def stored(self) -> Mapping[str, float]:
        return {"weight_bytes": 10.0}

    def _honest(self) -> int:
        torch.empty(1000)
        return 1

    def _prints(self) -> int:
        print("noise on stdout")
        os.write(1, b'{"values": {}}\n')
        sys.stdin.read()
        return 1

    def _raises(self) -> int:
        raise ValueError("two\nlines")

    def _raises_bytes(self) -> int:
        raise FileNotFoundError(os.fsdecode(b"no table \xff\x1b[31m"))

    def _raises_speechless(self) -> int:
        raise SpeechlessError

    def _exits(self) -> int:
        sys.exit(3)

    def _vanishes(self) -> int:
        os.write(2, b"last words\n")
        os._exit(7)

    def _segfaults(self) -> int:
        with contextlib.suppress(OSError):
            ctypes.string_at(0)
        return 1

    def _hangs(self) -> int:
        time.sleep(60)
        return 1

    def _wrong(self) -> int:
        return 2

    def _forks(self) -> int:
        """The children carry on as if they were the worker."""
        self.calls += 1
        if self.calls <= 3 and os.getpid() == self.owner:
            os.fork()
        return 1

    def _closes_everything(self) -> int:
        os.closerange(0, 1000)
        return 1

    def _floods(self) -> int:
        while True:
            os.write(1, b"flood\n" * 10_000)

    def _hoards_in_torch(self) -> int:
        return int(torch.ones(1 << 29).sum())

    def _hoards_in_python(self) -> int:
        return len(bytearray(1 << 31))


NAMES = (
    # Those that take the worker with them come first: nobody has to be prepared again for them.
    *("vanishes", "segfaults", "hangs", "closes-everything", "floods"),
    *(
        "honest",
        "prints",
        "elsewhere",
        "says-no",
        "raises",
        "raises-in-init",
        "builds-a-function",
        "raises-bytes",
        "raises-speechless",
        "notes",
        "exits",
        "wrong",
        "forks",
    ),
    *("hoards-in-torch", "hoards-in-python"),
)
SUITES = (
    Suite(
        name="misbehaviour",
        summary="",
        axes=(),
        metrics=("latency", "agreement_sqnr", "weight_bytes", "peak_forward_bytes", "peak_rss"),
        budget=Budget(rounds=2, seconds=0.02, sample=0.001),
        workload="tests.harness.fakes.misbehaviour:Misbehaving",
        resolve=dict,
        facts=dict,
        implementations=NAMES,
    ),
)
CATALOGUE = "tests.harness.fakes.misbehaviour:catalogue"


def catalogue() -> Catalogue:
    return Catalogue(dict.fromkeys(NAMES, "misbehaves"), lambda name, device: None)
