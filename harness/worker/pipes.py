"""The worker's end of the conversation: questions from stdin, replies to stdout, neither for contestants to touch."""

import contextlib
import os
from collections.abc import Callable
from functools import partial
from typing import BinaryIO, TypeAlias

from harness.model.codec import decode, encode
from harness.model.messages import Question, Reply
from harness.worker.memory_limit import MemoryLimit

Respond: TypeAlias = Callable[[Question], Reply]


def serve(respond: Respond, requests: BinaryIO, replies: BinaryIO, memory: MemoryLimit) -> None:
    """Answer until the controller hangs up. A reply bears the number of its question: none is mistaken for another."""
    for line in requests:
        number, _, asked = line.partition(b" ")
        question: Question = decode(asked, Question)  # type: ignore[arg-type]  # a union is no type to mypy
        memory.before(question)
        reply = respond(question)
        replies.write(b"%s %s\n" % (number, encode(reply)))
        replies.flush()


def claim_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Take stdin and stdout for the protocol, and give contestants an empty stdin and stderr as their stdout.

    A forked process loses both ends, so that the controller sees its parent hang up even while it lives.
    """
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    for number in (requests.fileno(), replies.fileno()):
        os.register_at_fork(after_in_child=partial(_close_if_open, number))
    with open(os.devnull) as nothing:  # noqa: PTH123 - a file descriptor is wanted
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    return requests, replies


def _close_if_open(number: int) -> None:
    with contextlib.suppress(OSError):  # the contestant has closed it already
        os.close(number)
