"""Settings of the tools that the tests use."""

import os

from hypothesis import settings

os.environ.pop("COLUMNS", None)  # pytest-xdist sets it, and tables would be as wide as somebody's terminal

# A deadline in milliseconds fails on a busy machine, and tells nothing of the code.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")
