"""What a fork of the template does before it is a worker: all that a process gets when it is started."""

import json
import mmap
import os
import random
import sys
from collections.abc import Collection, Sequence
from importlib.machinery import all_suffixes
from pathlib import Path
from types import ModuleType

import msgspec

from harness.machine.parent import die_with_parent
from harness.model.messages import Birth, Sources
from harness.user_code import shadowing
from harness.worker import bootstrap

COMMAND = 4
"""How many words of a command stand before the folder of the harness."""
SHIFT = 1 << 30
"""Bytes of addresses that are left out below what the template has mapped, at most: no memory is used for them."""
CRUMB, CRUMBS = 1 << 15, 64
"""Bytes of what is put on the heap, at most, and how many of that."""


def be_born(pipes: Sequence[int], template: int) -> None:
    """Be a process of its own: of another session, with `pipes` for standard streams, that ends with its `template`."""
    for place, pipe in enumerate(pipes):
        os.dup2(pipe, place)
    os.setsid()
    die_with_parent()
    if os.getppid() != template:  # it has ended before that could be asked for
        os._exit(1)


def become(order: Birth) -> None:
    """Run the worker of `order` in this fork.

    Where a module that is imported already would have come from the contestants' own folders, the interpreter is
    started again, and imports it from there.
    """
    os.chdir(order.current)
    os.environ.clear()
    os.environ.update(order.environment)
    home, *arguments = order.words[COMMAND:]
    folders = msgspec.convert(json.loads(arguments[0]), Sources).folders
    if _are_hidden(_names(), folders):
        os.execv(order.words[0], order.words)
    _look_in(folders)
    random.seed()  # else all forks of a template would draw the same numbers
    if numpys := sys.modules.get("numpy.random"):
        numpys.seed()
    kept = _scatter()
    sys.argv[:] = ["-c", *arguments]
    sys.path.insert(0, home)
    bootstrap.main()
    del kept


def _names() -> set[str]:
    """Top-level modules that the template has imported, or has looked for in vain, less the referee's own."""
    imported = {name.partition(".")[0] for name, module in list(sys.modules.items()) if _is_found(module)}
    missed = {name for name in bootstrap.MISSED.names if "." not in name}
    return (imported | missed) - {*shadowing.MARKS, "__main__", "__mp_main__"}


def _is_found(module: ModuleType) -> bool:
    """Whether a folder on the path decides which file it is."""
    return getattr(module, "__file__", None) is not None


def _are_hidden(names: Collection[str], folders: Sequence[str]) -> bool:
    """Whether one of `folders`, which are searched first, has a module or a package of one of `names`."""
    entries = [entry for folder in folders if Path(folder).is_dir() for entry in Path(folder).iterdir()]
    ours = [entry for entry in entries if entry.name.partition(".")[0] in names]
    suffixes = tuple(all_suffixes())
    return any(
        entry.name.endswith(suffixes) or any((entry / f"__init__{suffix}").exists() for suffix in suffixes)
        for entry in ours
    )


def _look_in(folders: Sequence[str]) -> None:
    """What nobody had was not in these folders either: a worker that is started would have looked there, too."""
    for name, places in bootstrap.MISSED.names.items():
        if "." not in name:
            bootstrap.MISSED.names[name] = (*folders, *places)


def _scatter() -> list[object]:
    """Take addresses and bytes of random size, to be kept: what is put into memory later lies elsewhere in every fork.

    Libraries that the template has loaded stay where they are.
    """
    pages = random.randrange(1, SHIFT // mmap.PAGESIZE)
    gap = mmap.mmap(-1, pages * mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=0)
    return [gap, *(bytes(random.randrange(CRUMB)) for _ in range(random.randrange(CRUMBS)))]
