"""Ending with the process that started this one, however that one ends."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
PARENT = "BITBENCH_PARENT"
"""The variable in which a process may tell its own id to one that it starts and that is to end with it."""


def can_die_with_parent() -> bool:
    """Whether the system can be asked for it."""
    return sys.platform == "linux"


def die_with_parent(parent: int = 0) -> None:
    """Ask the system to end this process when its parent ends, by SIGKILL. A fork has to ask anew.

    The system tells only of what happens later (prctl(2)). That it has happened already is known where the id of the
    `parent` is given. Does nothing but on Linux.
    """
    if not can_die_with_parent():
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent and os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def told_parent() -> int:
    """The id in the variable BITBENCH_PARENT, which is then unset, as children have another; 0 where none is told."""
    text = os.environ.pop(PARENT, "")
    return int(text) if text.isdecimal() else 0
