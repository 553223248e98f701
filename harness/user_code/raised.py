"""Where a contestant raised: the last frames of its own code, not those of the referee, of torch or of Python."""

import linecache
import os
import sys
import sysconfig
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from types import CodeType

from harness import HOME
from harness.user_code.folders import INSTALLED
from harness.user_code.plain_text import of_error, one_line

MOST = 5
"""Frames that are kept of one error: the last ones."""
LINE = 200
"""Characters of a line of code that are kept."""
REFEREE = tuple(f"{HOME / name}{os.sep}" for name in ("harness", "suites"))
HOUSE = f"{HOME / 'bitlinear'}{os.sep}"
STANDARD = tuple(f"{sysconfig.get_path(name)}{os.sep}" for name in ("stdlib", "platstdlib"))


def own_frames(error: BaseException) -> tuple[str, ...]:
    """`mine.py:12 in forward: return table[key]`, the innermost last; then the same of the error behind it.

    Files are named from the folder that they are imported from, so that no home directory is told. Empty where none of
    the contestant's code was at work.
    """
    frames = _of(error)
    cause, word = error.__cause__, BEHIND[0]
    if cause is None and not error.__suppress_context__:
        cause, word = error.__context__, BEHIND[1]
    behind = _of(cause) if cause is not None else ()
    return (*frames, f"{word}{of_error(cause, LINE)}", *behind) if cause is not None and behind else frames


def _of(error: BaseException) -> tuple[str, ...]:
    """Of what somebody works on, else of installed packages, else of the house's own contestants."""
    tiers: dict[str, list[str]] = {"worked on": [], "installed": [], "house": []}
    trace = error.__traceback__
    while trace is not None:
        tier = _tier(trace.tb_frame.f_code.co_filename)
        if tier:
            tiers[tier].append(_words(trace.tb_frame.f_code, trace.tb_lineno))
            del tiers[tier][:-MOST]
        trace = trace.tb_next
    return tuple(next(filter(None, tiers.values()), ()))


def _tier(file: str) -> str:
    if file.startswith((*REFEREE, "<frozen ", *_torch())):
        return ""
    if file.startswith(HOUSE):
        return "house"
    if INSTALLED & set(Path(file).parts):
        return "installed"
    return "" if file.startswith(STANDARD) else "worked on"


def _torch() -> tuple[str, ...]:
    """Its folder, where it has been imported."""
    torch = sys.modules.get("torch")
    return (f"{Path(str(torch.__file__)).parent}{os.sep}",) if torch else ()


def _words(code: CodeType, line: int) -> str:
    source = one_line(linecache.getline(code.co_filename, line), LINE)
    function = "" if code.co_name == "<module>" else f" in {code.co_name}"
    return f"{_named(code.co_filename)}:{line}{function}" + (f": {source}" if source else "")


def _named(file: str) -> str:
    """The file from the innermost place on the path that holds it, or its bare name."""
    places = [place for place in sys.path if place and file.startswith(place.rstrip(os.sep) + os.sep)]
    return one_line(os.path.relpath(file, max(places, key=len)) if places else Path(file).name or file, LINE)


BEHIND = ("because of ", "while handling ")
"""How the line begins that names the error behind the first."""


def innermost(trace: Sequence[str]) -> str:
    """File, line and function where the error was raised, as in `mine.py:12 in forward`."""
    first = list(takewhile(lambda line: not line.startswith(BEHIND), trace)) or trace
    return first[-1].partition(": ")[0] if first else ""
