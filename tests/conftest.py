"""Settings of the tools that the tests use."""

import os
import signal

from hypothesis import settings

from harness.machine.git import bound

os.environ.pop("COLUMNS", None)  # pytest-xdist sets it, and tables would be as wide as somebody's terminal

for name in bound():  # where the tests are a hook's, git would work in the user's repository and not in theirs
    os.environ.pop(name, None)

# A shell starts what it puts into the background with Ctrl-C ignored, and children would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A deadline in milliseconds fails on a busy machine, and tells nothing of the code.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")
