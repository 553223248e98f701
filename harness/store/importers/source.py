"""A file or folder of another tool, as it lies on the disk, and its content checked against what a format says."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from harness.errors import StoreError

T = TypeVar("T")


@dataclass(frozen=True)
class Source:
    """What a path leads to. A folder has no text."""

    path: Path
    text: str = ""
    content: object = None
    """Of JSON; None where the text is none."""
    broken: str = ""
    """Why the text is no JSON, where it begins like some."""

    @classmethod
    def read(cls, path: Path) -> "Source":
        """What is there. Raises StoreError, in one line, for what is not there or is no text."""
        try:
            if path.is_dir():
                return cls(path)
            text = path.read_text(encoding="utf-8-sig")
        except OSError as error:
            raise StoreError(
                f"cannot read {path}: {error.strerror}; give a file that a benchmark tool wrote"
            ) from error
        except UnicodeDecodeError as error:
            raise StoreError(f"{path} is no text in UTF-8: give a file that a benchmark tool wrote") from error
        if not text.strip():
            raise StoreError(f"{path} is empty: write it anew by the tool that it is from")
        return cls(path, text, *json_of(text))

    @property
    def is_folder(self) -> bool:
        """Whether it has no text because it is a folder."""
        return self.path.is_dir()

    @property
    def changed(self) -> str:
        """When it was last written: UTC, ISO 8601. Stands for the date of a file that tells none."""
        return said_at(datetime.fromtimestamp(self.path.stat().st_mtime, UTC))

    def as_kind(self, kind: type[T], tool: str) -> T:
        """Its content as the format of `tool` has it. Raises StoreError that says where it has not."""
        return checked(self.content, kind, self.path, tool)


def checked(content: object, kind: type[T], path: Path, tool: str) -> T:
    """`content` as `kind`, without fields that it does not know. Raises StoreError that says where it is not."""
    try:
        return msgspec.convert(content, kind)
    except msgspec.ValidationError as error:
        raise unreadable(path, tool, str(error)) from error


def unreadable(path: Path, tool: str, why: str) -> StoreError:
    """The one line about a file that is not what `tool` writes."""
    return StoreError(f"{path} is no whole file of {tool}: {' '.join(why.split())}; write it anew by {tool}")


def beside(path: Path, tool: str) -> Source:
    """A file that belongs to one that was given. Raises StoreError for what is no JSON."""
    source = Source.read(path)
    if source.content is None:
        raise unreadable(path, tool, source.broken or "it is no JSON")
    return source


def utc(text: str) -> str:
    """A date as tools write it, in UTC and ISO 8601; empty where it is none. One without a zone is taken as UTC."""
    try:
        moment = datetime.fromisoformat(text.strip())
        return said_at(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        return ""


def count(value: object) -> int:
    """A number of cores as a file tells it; 0 where it is none."""
    digits = str(value)
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 10 else 0


def said_at(moment: datetime) -> str:
    """A moment as headers of runs have it."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def json_of(text: str) -> tuple[object, str]:
    """The content of JSON, and why it is none where it begins like some.

    Bare NaN and Infinity are numbers here, because most of these tools write them.
    """
    if not text.lstrip().startswith(("[", "{")):
        return None, ""
    try:
        content = json.loads(text, parse_int=_whole)
        json.dumps(content, ensure_ascii=False).encode()
    except RecursionError:
        return None, "nested too deeply"
    except UnicodeEncodeError:
        return None, "a text in it is no Unicode"
    except ValueError as error:
        return None, str(error)
    return content, ""


def _whole(digits: str) -> float:
    """As an int, but for one that is larger than any number with a point: it is infinite, as that would be."""
    return int(digits) if len(digits) < _MOST_DIGITS else float(digits)


_MOST_DIGITS = 300
