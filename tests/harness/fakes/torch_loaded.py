"""A process that has imported torch and forks a worker whenever it is asked for one; started by `forked_workers`.

Run by its path, so that nothing of ours is imported before the fork: each child finds what a fresh interpreter finds
after `import torch` and a first use of its profiler, and runs the same program.
"""

import array
import gc
import json
import os
import signal
import socket
import sys
import traceback
import types
from collections.abc import Mapping

if os.fork():
    os._exit(0)  # so that what this one forks is no descendant of the tests', which look for processes left behind

import torch.utils.flop_counter  # noqa: F401 - torch, and triton where it is installed: two seconds of every worker's
from torch.profiler import ProfilerActivity, profile

LONGEST = 1 << 20
"""Bytes of a request: a command, an environment and a folder."""


def searched(environment: Mapping[str, str]) -> list[str]:
    """The folders of `PYTHONPATH`, as an interpreter that starts puts them first."""
    return [os.path.abspath(place) for place in environment.get("PYTHONPATH", "").split(os.pathsep) if place]  # noqa: PTH100 - `resolve` follows links


OF_THE_TESTS = searched(os.environ)


def serve(channel: socket.socket) -> None:
    while True:
        text, ancillary, _, _ = channel.recvmsg(LONGEST, socket.CMSG_SPACE(3 * 4))
        if not text:
            return
        request = json.loads(text)
        if "wait" in request:
            channel.sendall(b"%d\n" % os.waitpid(request["wait"], 0)[1])
            continue
        pipes = array.array("i")
        pipes.frombytes(ancillary[0][2])
        if not (child := os.fork()):
            channel.close()
            become(request, pipes.tolist())
        for pipe in pipes:
            os.close(pipe)
        channel.sendall(b"%d\n" % child)


def become(request: dict, pipes: list[int]) -> None:
    """Be what `python -P -c COMMAND ARGUMENTS` is, and end."""
    status = 1
    try:
        os.setsid()
        for number, pipe in enumerate(pipes):
            os.dup2(pipe, number)
            os.close(pipe)
        os.environ.clear()
        os.environ.update({os.fsdecode(bytes.fromhex(k)): os.fsdecode(bytes.fromhex(v)) for k, v in request["env"]})
        os.chdir(bytes.fromhex(request["cwd"]))
        sys.path[:] = [*searched(os.environ), *(place for place in sys.path if place not in OF_THE_TESTS)]
        signal.signal(signal.SIGINT, signal.default_int_handler)
        code, *arguments = (os.fsdecode(bytes.fromhex(word)) for word in request["command"])
        sys.argv[:] = ["-c", *arguments]
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(code, main.__dict__)
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - as the interpreter does at its top
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status)


if __name__ == "__main__":
    said = os.dup(2)
    with open(os.devnull, "wb") as nothing:  # noqa: PTH123 - a file descriptor is wanted
        os.dup2(nothing.fileno(), 2)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True):  # the first one sets clocks, for a second
        pass
    os.dup2(said, 2)
    os.close(said)
    gc.collect()
    gc.freeze()  # as workers do once they have begun; to visit every object of torch copies its pages, in each of them
    serve(socket.socket(fileno=int(sys.argv[1])))
