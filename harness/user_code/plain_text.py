"""Text of a contestant's as it can be stored, sent and printed anywhere: one line of Unicode, of limited length."""

import os

LONGEST = 500
"""Characters of a reason or a warning."""


HOME = os.path.expanduser("~")  # noqa: PTH111 - Path.home raises where there is none
"""What errors about files tell, and a stored run need not."""


def unicode(text: str) -> str:
    """`text` with each lone surrogate, which has no UTF-8, as the escape that Python writes for it: `\\udcff`.

    Python puts them where bytes are no UTF-8: into names of files, environment variables and the words of a system.
    """
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()


def one_line(text: str, most: int = LONGEST) -> str:
    """`text` in one line: white space is a space, what a terminal would act on is its escape, the end is cut off."""
    words = " ".join(text[: 2 * most].split())
    shown = "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in words)
    return shown[:most]


def message(error: BaseException, most: int = LONGEST) -> str:
    """What an error says, in one line, with `~` for the home directory; of one that raises instead, which."""
    try:
        said = str(error)
    except Exception as worse:  # noqa: BLE001 - a contestant's own error class may fail in anything
        said = f"(its text cannot be had: {type(worse).__name__})"
    said = said.partition("\nException raised from ")[0]  # torch adds frames of C++ to some
    return one_line(said.replace(HOME, "~") if len(HOME) > 1 else said, most)


def of_error(error: BaseException, most: int = LONGEST) -> str:
    """`KeyError: 'oops'`: the class, and what it says in one line, if anything."""
    name, text = one_line(type(error).__name__), message(error, most)
    return f"{name}: {text}" if text else name
