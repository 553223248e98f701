"""What a contestant leaves running behind it: processes, and threads that compute although nobody called."""

from time import process_time, sleep

import psutil

TORCH_PROCESSES = ("torch/_inductor", "torch._inductor", "multiprocessing.resource_tracker")
"""In the command line of processes that torch's compiler keeps for itself."""
WINDOW = 0.05
"""Seconds of the main thread's sleep over which the process's time on the cores is taken.

Long enough for a thread that computes to get its turn on a busy machine."""
PATIENCE = 0.3
"""Seconds in which one quiet window has to come: OpenMP's threads spin for a while before they sleep."""


class Leftovers:
    """The processes and threads there were at one moment, and what came after it."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._children: set[int] = set()
        self._threads: set[int] = set()

    def remember(self) -> None:
        """Now is the moment."""
        self._threads = self._thread_ids()

    def end_leftovers(self) -> list[str]:
        """End the processes that came since and still run; say what was left, threads too, which cannot be ended."""
        return [*self._end_processes(), *self._busy_threads()]

    def _thread_ids(self) -> set[int]:
        return {thread.id for thread in self._process.threads()}

    def _end_processes(self) -> list[str]:
        left = []
        for child in self._process.children(recursive=True):
            if child.pid in self._children or _is_torchs(child):
                continue
            self._children.add(child.pid)
            left.append("left a process behind")
            child.kill()
        return left[:1]

    def _busy_threads(self) -> list[str]:
        """Looks only where there are new threads. A quiet window ends the wait."""
        if self._thread_ids() <= self._threads:
            return []
        for _ in range(round(PATIENCE / WINDOW)):
            before = process_time()
            sleep(WINDOW)
            if process_time() - before < WINDOW / 10:
                return []
        return ["kept computing on another thread after its call had returned"]


def _is_torchs(child: psutil.Process) -> bool:
    try:
        command = " ".join(child.cmdline())
    except psutil.Error:  # it has ended and waits to be collected: torch's are collected by torch
        return False
    return any(words in command for words in TORCH_PROCESSES)
