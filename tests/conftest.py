"""Settings of the tools that the tests use."""

from hypothesis import settings

# A deadline in milliseconds fails on a busy machine, and tells nothing of the code.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")
