"""A worker that says what process it is, and then does what the word says that names its suites."""

import ctypes
import importlib
import json
import mmap
import os
import random
import resource
import signal
import sys
import time
from pathlib import Path

word = sys.argv[1]
found: dict[str, object] = {
    "pid": os.getpid(),
    "group": os.getpgrp(),
    "session": os.getsid(0),
    "parent": os.getppid(),
}
if word == "any":
    found |= {
        "arguments": sys.argv[1:],
        "variables": sorted(os.environ.items()),
        "current": str(Path.cwd()),
        "path": sys.path,
        "limit": resource.getrlimit(resource.RLIMIT_DATA),
        "handled": [str(signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGPIPE, signal.SIGTERM)],
        "main": sys.modules["__main__"].__name__,
    }
if word == "place":
    large = mmap.mmap(-1, 1 << 24)
    found["drawn"] = [random.random(), importlib.import_module("numpy").random.random()]
    found["place"] = ctypes.addressof(ctypes.c_char.from_buffer(large))
if word == "numpy":
    found["file"] = importlib.import_module(word).__file__
print(json.dumps(found), flush=True)
if word == "exits":
    sys.exit(7)
if word == "segfaults":
    os.kill(os.getpid(), signal.SIGSEGV)
if word == "sleeps":
    time.sleep(60)
