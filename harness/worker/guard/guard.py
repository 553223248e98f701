"""What contestants must leave alone: functions, settings, and the peace after a call. Finds changes and undoes them.

A contestant runs in the process that measures it. This does not make that safe: it finds what a contestant did to the
clock, to torch or to its rivals in the ways that are known to have been tried. What it cannot find
stands in docs/numbers/trust.md.
"""

import builtins
import gc
import itertools
import os
import random
import resource
import sys
import time
import types
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter, is_not
from pathlib import Path
from typing import Any

import torch

from harness.worker.guard.leftovers import Leftovers
from harness.worker.guard.settings import Settings

STANDARD = (builtins, gc, itertools, random, resource, time)
TORCH = (torch, torch.nn.functional)
TORCH_CLASSES = (torch.Tensor, torch.nn.Module, torch.nn.Linear, torch.nn.Parameter)
KERNELS = ("aten::linear", "aten::matmul", "aten::mm", "aten::addmm", "aten::_int_mm", "aten::empty.memory_format")
BACKENDS = ("CPU:", "CUDA:", "MPS:")
TORCH_HOME = str(Path(torch.__file__).parent) + os.sep
MODULES_OWN = frozenset({"__doc__", "__loader__", "__spec__", "__build_class__", "__import__"})
"""Names that every module has of its own, among those that are built in."""

_MISSING = object()


@dataclass(frozen=True)
class Findings:
    """What came to light while a request was answered."""

    faults: tuple[str, ...] = ()
    """What was done that spoils the measurements, its own or others'; each completes a sentence about a contestant."""
    doubts: tuple[str, ...] = ()
    """Warnings, each with its cure."""


class Original:
    """A module, class or object, with what it held before any contestant ran."""

    def __init__(self, name: str, place: Any, also: Collection[str] = ()) -> None:
        """What acts is held, and what the names in `also` stand for."""
        self.name = name
        self._place = place
        self._held = {
            key: value
            for key, value in vars(place).items()
            if (_acts(value) or key in also)
            and not (place is torch and isinstance(value, type))  # hundreds, of which TORCH_CLASSES matter
        }
        self._remember()

    def restore(self) -> list[str]:
        """Put everything back; the names that held something else than before, or hid what they did not hide."""
        now = vars(self._place)
        found = []
        # Thousands of names are looked at after every visit: without a loop in Python, and by identity, not equality.
        if any(map(is_not, map(now.get, self._held), self._held.values())):
            found += [key for key, value in self._held.items() if now.get(key, _MISSING) is not value]
            found = [key for key in found if not self._put_back(key, now.get(key))]
        if any(map(is_not, map(_code, self._functions), self._codes)):
            found += [function.__name__ for function in self._put_back_codes()]
        if len(now) != self._size:
            found += self._remove_hiding()
        if found or len(now) != self._size:
            self._remember()
        return found

    def _remember(self) -> None:
        self._size = len(vars(self._place))
        self._functions = [value for value in self._held.values() if isinstance(value, types.FunctionType)]
        self._codes = [function.__code__ for function in self._functions]

    def _put_back(self, key: str, current: object) -> bool:
        """Whether `current` may stay instead, because it is torch that replaced its own."""
        if self.name.startswith("torch") and _is_torchs(current):
            self._held[key] = current
            return True
        setattr(self._place, key, self._held[key])
        return False

    def _put_back_codes(self) -> Iterator[types.FunctionType]:
        for function, code in zip(self._functions, self._codes, strict=True):
            if function.__code__ is not code:
                function.__code__ = code
                yield function

    def _remove_hiding(self) -> list[str]:
        """Of new names, delete those that hide an inherited or a built-in one: `torch.Tensor.copy_`, `measure.min`."""
        match self._place:
            case type():
                hidden = {name for ancestor in self._place.__mro__[1:] for name in vars(ancestor)}
            case types.ModuleType():
                hidden = set(vars(builtins))
            case _:
                hidden = set()
        now = vars(self._place)
        new = {key: value for key, value in now.items() if key not in self._held and _acts(value)}
        found = [key for key, value in new.items() if key in hidden - MODULES_OWN and not _is_torchs(value)]
        for key in found:
            delattr(self._place, key)
        return found


class Guard:
    """Remembers how things were before the first contestant, and says after every request what is no longer so."""

    def __init__(self, packages: Sequence[str], devices: Mapping[str, object]) -> None:
        """`packages` are guarded beside the standard library and torch, and so are the clocks of `devices`."""
        self._packages = packages
        places = [*STANDARD, *TORCH]
        self._originals = {id(place): Original(place.__name__, place) for place in places}
        self._originals |= {id(kind): Original(_name(kind), kind) for kind in TORCH_CLASSES}
        for name, device in devices.items():
            self._originals[id(device)] = Original(f"the device {name}", device, also=("clock",))
            clock = getattr(device, "clock", None)
            if clock is not None and clock is not device:
                self._originals[id(clock)] = Original(f"the clock of {name}", clock)
        self._kernels = _kernels()
        self._settings = Settings()
        self._unrest = Leftovers()
        self._raised: list[str] = []
        self._hook = sys.unraisablehook
        self.extend()

    def extend(self) -> None:
        """Guard what has been imported of the guarded packages since, as it is now: to be done before contestants."""
        for name, module in sorted(sys.modules.items()):
            if id(module) in self._originals or not any(f"{name}.".startswith(f"{p}.") for p in self._packages):
                continue
            self._originals[id(module)] = Original(name, module)
            for value in tuple(vars(module).values()):
                if isinstance(value, type) and value.__module__ == name:
                    self._originals[id(value)] = Original(_name(value), value)

    def begin(self, thorough: bool) -> None:
        """A contestant is about to run. `thorough` will also find processes and threads left behind, and kernels."""
        self._hook, sys.unraisablehook = sys.unraisablehook, self._unraisable
        self._settings.remember()
        if thorough:
            self._unrest.remember()

    def end(self, thorough: bool) -> Findings:
        """It has run: what it did, `thorough` as at its beginning."""
        sys.unraisablehook = self._hook
        faults = [f"changed {words}" for words in self._settings.restore()]  # first: to set some replaces functions
        originals = tuple(self._originals.values())
        faults += [f"replaced {original.name}.{name}" for original in originals for name in original.restore()]
        if thorough:
            faults += [*self._take_in_kernels(), *self._unrest.end_leftovers()]
        doubts = [f"{words}; handle it where it is raised" for words in dict.fromkeys(self._raised)]
        self._raised.clear()
        return Findings(tuple(faults), tuple(doubts))

    def _unraisable(self, unraisable: Any) -> None:
        where = getattr(unraisable.object, "__qualname__", repr(unraisable.object))
        self._raised.append(f"raised {unraisable.exc_type.__name__} where none can be caught, in {where}")

    def _take_in_kernels(self) -> list[str]:
        """Which of torch's own kernels were overridden. They cannot be put back, so each is told once."""
        now = _kernels()
        found = [f"registered another kernel for {name}" for name in KERNELS if now[name] != self._kernels[name]]
        self._kernels = now
        return found


_code = attrgetter("__code__")


def _acts(value: object) -> bool:
    return callable(value) or isinstance(value, property | staticmethod | classmethod)


def _is_torchs(value: object) -> bool:
    """Whether a function's code is torch's: importing its compiler wraps a few functions of torch."""
    return isinstance(value, types.FunctionType) and value.__code__.co_filename.startswith(TORCH_HOME)


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _kernels() -> dict[str, tuple[str, ...]]:
    """What the dispatcher runs for each of KERNELS, by backend."""
    tables: Callable[[str], str] = torch._C._dispatch_dump_table
    return {name: tuple(line for line in tables(name).splitlines() if line.startswith(BACKENDS)) for name in KERNELS}
