"""Runs on disk: written line by line, read back exactly, or refused with a reason."""

from harness.store.runs import (
    FILE_NAME,
    Writer,
    create,
    create_in,
    is_begun,
    load,
    make_unseen,
    remove_unbegun,
    reopen,
    resume,
)

__all__ = [
    "FILE_NAME",
    "Writer",
    "create",
    "create_in",
    "is_begun",
    "load",
    "make_unseen",
    "remove_unbegun",
    "reopen",
    "resume",
]
