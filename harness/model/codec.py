"""One line of JSON between processes and in files: it reads back exactly, or it is not read."""

import json
import math
from collections.abc import Callable
from functools import cache
from typing import Any, TypeAlias, TypeVar

import msgspec

from harness.user_code.plain_text import unicode

T = TypeVar("T")

Lift: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]


class LineError(ValueError):
    """A line that does not say one thing exactly; the message says where and why."""


def encode(message: object) -> bytes:
    """One line of JSON without its newline.

    Infinities and NaN are written as the strings "inf", "-inf", "nan", and a lone surrogate as its escape `\\udcff`.
    """
    return msgspec.json.encode(_spell_specials(msgspec.to_builtins(message)))


def decode(line: bytes, kind: type[T], lift: Lift | None = None) -> T:
    """The inverse of `encode`; `lift` makes a line of an earlier schema into one of `kind` first.

    Raises LineError when the line is not JSON, is not of `kind`, has a field twice or one that `kind` lacks, or when a
    value would change by being read: no text becomes a number, save the three above, no number another, no 1 a truth.
    """
    try:
        wanted: Any = Any if lift else kind
        value = _decoder(wanted).decode(line)
        if not lift and _ENCODER.encode(value) == line:
            return value  # type: ignore[no-any-return]  # of `kind`; the usual case, and quick
        said = json.loads(line.decode(), object_pairs_hook=_no_field_twice)
        if lift:
            if not isinstance(said, dict):
                raise LineError("it is no object")
            said = lift(said)
            value = msgspec.convert(said, kind, strict=False)
    except RecursionError as error:
        raise LineError("nested too deeply") from error
    except (msgspec.DecodeError, ValueError) as error:
        raise LineError(str(error)) from error
    if difference := _difference(msgspec.to_builtins(value, str_keys=True), said, "$"):
        raise LineError(difference)
    result: T = value
    return result


_ENCODER = msgspec.json.Encoder()


@cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    """Kept, because the lines of a large run are a million."""
    return msgspec.json.Decoder(kind, strict=False)


def _no_field_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise LineError(f"a field twice among {', '.join(name for name, _ in pairs)[:80]}")
    return fields


def _difference(read: Any, said: Any, where: str) -> str:
    """Where what was read is not what the line says; empty when it is. Fields that a line omits have their defaults."""
    match read, said:
        case dict(), dict():
            unknown = next((name for name in said if name not in read), None)
            if unknown is not None:
                return f"{where} has a field {unknown[:40]!r}, which this program does not know"
            return next(filter(None, (_difference(read[name], said[name], f"{where}.{name}") for name in said)), "")
        case list() | tuple(), list() if len(read) == len(said):
            items = enumerate(zip(read, said, strict=True))
            return next(filter(None, (_difference(*pair, f"{where}[{at}]") for at, pair in items)), "")
        case float(), str() if not math.isfinite(read) and str(read) == said:
            return ""
        case float(), int() if type(said) is int and read == said:
            return ""
    if type(read) is type(said) and read == said:
        return ""
    return f"{where} says {json.dumps(said)[:40]}, which would be read as {read!r:.40}"


def _spell_specials(value: Any) -> Any:
    match value:
        case float() if not math.isfinite(value):
            return str(value)
        case str():
            return unicode(value)
        case dict():
            return {_spell_specials(key): _spell_specials(item) for key, item in value.items()}
        case list() | tuple():
            return [_spell_specials(item) for item in value]
    return value
