"""The kinds of value that options and arguments take: each is refused in one line before any work is done."""

import os
from pathlib import Path

import click

from harness.errors import StoreError, UsageError
from harness.model.units import parse_whole


class Whole(click.ParamType[int]):
    """A whole number, written in the digits from 0 to 9."""

    name = "integer"

    def __init__(self, smallest: int, largest: int) -> None:
        self.smallest, self.largest = smallest, largest

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number. Fails with the bounds."""
        try:
            return parse_whole(str(value), self.smallest, self.largest)
        except UsageError as error:
            self.fail(str(error), param, ctx)


class Threads(Whole):
    """A number of threads; `all`, or 0 as the axis has it, is every core that may be used."""

    name = "threads"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number, 0 for all. Fails with the bounds."""
        return 0 if str(value).strip() in ("all", "0") else super().convert(value, param, ctx)


class Words(click.ParamType[str]):
    """Text that says something, and that can be stored."""

    name = "text"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text as it is. Fails for one that is empty, or that is no Unicode."""
        text = str(value)
        if not text.strip():
            self.fail("it is empty; give it a value, or leave the option out", param, ctx)
        try:
            text.encode()
        except UnicodeEncodeError:
            self.fail(f"{text!a} is no text in UTF-8", param, ctx)
        return text


class Place(click.Path):
    """A path, and not the empty one, which would be the current folder."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path. Fails for an empty one."""
        if not os.fspath(value).strip():
            self.fail("it is empty; name a place, `.` for the current folder", param, ctx)
        if "\0" in os.fspath(value):
            self.fail("a path cannot hold a NUL character", param, ctx)
        return Path(value)


class NewFile(Place):
    """The path of a file that is to be written: its folder is there, and it is no folder itself."""

    def convert(self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path. Raises StoreError, before any work is done, where it is known already that it cannot be written."""
        path = super().convert(value, param, ctx)
        if path.is_dir():
            raise StoreError(f"cannot write {path}: it is a directory; name a file in it")
        if not path.parent.is_dir():
            what = "is a file" if path.parent.exists() else "does not exist"
            raise StoreError(f"cannot write {path}: {path.parent} {what}; name a file in a directory that is there")
        return path


class Folder(Place):
    """The path of a directory that is there or is to be made."""

    def convert(self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path. Raises StoreError, before any work is done, where something else is in the way."""
        path = super().convert(value, param, ctx)
        if path.exists() and not path.is_dir():
            raise StoreError(f"cannot write {path}: it is no directory; name one, or a place for a new one")
        return path
