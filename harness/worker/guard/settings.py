"""Settings of the process that change what others compute, or how fast: read, compared and put back."""

import gc
import operator
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch.nn.modules import module as modules

HOOKS = tuple(name for name in vars(modules) if name.startswith("_global_") and isinstance(vars(modules)[name], dict))
"""Functions that torch calls around every module of the process."""


PRECISIONS = (
    ("generic", "all"),
    *((backend, op) for op in ("all", "matmul", "conv", "rnn") for backend in ("cuda", "mkldnn")),
)
"""What `fp32_precision` of `torch.backends` and below can be set for; what is not set has the value of one before."""

AUTOCAST = ("cpu", "cuda")
"""Devices whose autocast is watched."""


class Setting(NamedTuple):
    """One thing that can be read and put back."""

    words: str
    read: Callable[[], Any]
    put: Callable[[Any], object]
    same: Callable[[Any, Any], bool] = operator.eq
    """Whether two of its values mean the same; a change that means nothing is undone, and nobody is blamed."""


def _collect(on: bool) -> None:
    (gc.enable if on else gc.disable)()


def _hooks() -> dict[str, dict[Any, Any]]:
    return {name: dict(vars(modules)[name]) for name in HOOKS}


def _put_hooks(before: dict[str, dict[Any, Any]]) -> None:
    for name, hooks in before.items():
        vars(modules)[name].clear()
        vars(modules)[name].update(hooks)


def _put_function_modes(depth: int) -> None:
    torch.set_default_device(None)  # torch keeps the mode of a default device in two places
    while torch._C._len_torch_function_stack() > depth:
        torch._C._pop_torch_function_stack()


def _put_dispatch_modes(depth: int) -> None:
    while torch._C._len_torch_dispatch_stack() > depth:
        torch._C._pop_torch_dispatch_stack(None)


def _cores() -> set[int]:
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()


def _put_cores(cores: set[int]) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)


def _interval() -> float:
    return signal.getitimer(signal.ITIMER_REAL)[1]


def _put_interval(seconds: float) -> None:
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)


class _Precision(NamedTuple):
    """Of products of float32: torch has an older way of setting it, and a newer one."""

    products: str | None
    convolutions: bool | None
    new: tuple[str, ...]


def _precision() -> _Precision:
    return _Precision(
        _unless_mixed(torch.get_float32_matmul_precision),
        _unless_mixed(torch._C._get_cudnn_allow_tf32),
        tuple(torch._C._get_fp32_precision_getter(*one) for one in PRECISIONS),
    )


def _same_precision(one: _Precision, other: _Precision) -> bool:
    """`none` is `ieee` by default, and to ask for the `highest` precision in the older way sets that."""
    words = [tuple("ieee" if word == "none" else word for word in each.new) for each in (one, other)]
    return one[:2] == other[:2] and words[0] == words[1]


def _unless_mixed(read: Callable[[], Any]) -> Any:
    """What an old setting is, or None where a new one contradicts it: torch then raises for whoever reads the old."""
    try:
        return read()
    except RuntimeError:  # the new ones are read beside it, so that the change is found all the same
        return None


def _put_precision(before: _Precision) -> None:
    """The old ones first, because to set them sets new ones too; of the new ones parents before those that inherit."""
    if before.products is not None:
        torch.set_float32_matmul_precision(before.products)
    if before.convolutions is not None:
        torch._C._set_cudnn_allow_tf32(before.convolutions)
    for one, value in zip(PRECISIONS, before.new, strict=True):
        if torch._C._get_fp32_precision_getter(*one) != value:
            torch._C._set_fp32_precision_setter(*one, value)


def _autocast() -> tuple[tuple[bool, torch.dtype], ...]:
    return tuple((torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind)) for kind in AUTOCAST)


def _put_autocast(before: tuple[tuple[bool, torch.dtype], ...]) -> None:
    for kind, (enabled, dtype) in zip(AUTOCAST, before, strict=True):
        torch.set_autocast_enabled(kind, enabled)
        torch.set_autocast_dtype(kind, dtype)


SETTINGS = (
    Setting("the number of threads", torch.get_num_threads, torch.set_num_threads),
    Setting("the default dtype", torch.get_default_dtype, torch.set_default_dtype),
    Setting("the grad mode", torch.is_grad_enabled, torch._C._set_grad_enabled),
    Setting(
        "the use of deterministic algorithms",
        torch.are_deterministic_algorithms_enabled,
        torch.use_deterministic_algorithms,
    ),
    Setting("the precision of float32 products", _precision, _put_precision, _same_precision),
    Setting("autocast", _autocast, _put_autocast),
    Setting("the use of oneDNN", torch._C._get_mkldnn_enabled, torch._C._set_mkldnn_enabled),
    Setting("torch's function modes", torch._C._len_torch_function_stack, _put_function_modes),
    Setting("torch's dispatch modes", torch._C._len_torch_dispatch_stack, _put_dispatch_modes),
    Setting("the hooks of all modules", _hooks, _put_hooks),
    Setting("whether garbage is collected", gc.isenabled, _collect),
    Setting("Python's trace function", sys.gettrace, sys.settrace),
    Setting("Python's profile function", sys.getprofile, sys.setprofile),
    Setting("Python's thread switch interval", sys.getswitchinterval, sys.setswitchinterval),
    Setting("the cores of the process", _cores, _put_cores),
    Setting("the interval timer", _interval, _put_interval),
)


class Settings:
    """What SETTINGS were at one moment."""

    def __init__(self) -> None:
        self._before: list[Any] = []

    def remember(self) -> None:
        """Now is the moment."""
        self._before = [setting.read() for setting in SETTINGS]

    def restore(self) -> list[str]:
        """Put back what is no longer as it was, and say in words what that is."""
        found = []
        for setting, before in zip(SETTINGS, self._before, strict=True):
            now = setting.read()
            if now != before:
                setting.put(before)
            if not setting.same(now, before):
                found.append(setting.words)
        return found
