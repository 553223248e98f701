"""The tree of errors that end a command. Each is one clear line for a person and one exit code for a machine."""

INTERNAL_ERROR = 70
"""EX_SOFTWARE of sysexits.h: a bug of ours, which must not be taken for one of the answers."""


class BitbenchError(Exception):
    """Base of all: `str(error)` says what was given, what is allowed and what to do next, in one line."""

    exit_code = 2


class UsageError(BitbenchError):
    """An unknown name or value, or options that cannot go together."""


class StoreError(BitbenchError):
    """A run that cannot be read or written."""


class IncomparableError(BitbenchError):
    """Two runs that must not be compared."""


class InvalidEnvironmentError(BitbenchError):
    """The machine or its set-up cannot give an answer: the worker does not start, say."""

    exit_code = 4


class NothingMeasuredError(BitbenchError):
    """There is no number to show or compare. Never reported as success."""

    exit_code = 5
