"""The formats by name, told by their content. An extension tells nothing: most of them are `.json`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import StoreError, UsageError
from harness.model.units import choices
from harness.store.importers import (
    asv,
    bencher,
    criterion,
    github_action,
    go_text,
    google_benchmark,
    hyperfine,
    nvbench,
    pyperf,
    pytest_benchmark,
)
from harness.store.importers.benchmark import ForeignFile
from harness.store.importers.source import Source


@dataclass(frozen=True)
class Format:
    """How files of one tool are told and read."""

    recognises: Callable[[Source], bool]
    read: Callable[[Source], ForeignFile]


_MODULES = (
    pytest_benchmark,
    google_benchmark,
    pyperf,
    hyperfine,
    asv,
    nvbench,
    criterion,
    github_action,
    go_text,
    bencher,
)
FORMATS: Mapping[str, Format] = {one.TOOL: Format(one.recognises, one.read) for one in _MODULES}
"""By the name of the tool, in the order in which they are asked: the one that takes nearly any JSON is the last."""


def read(path: Path, name: str = "") -> ForeignFile:
    """The file or folder at `path`, in the format `name`, or in the first that recognises it.

    Raises UsageError for an unknown name, StoreError, in one line, for what cannot be read.
    """
    if name and name not in FORMATS:
        raise UsageError(f"unknown format {name!r}; {choices(name, FORMATS)}")
    source = Source.read(path)
    if source.broken and (name or not go_text.recognises(source)):
        raise StoreError(f"{path} is no whole JSON ({source.broken}): write it anew by the tool that it is from")
    if name:
        return FORMATS[name].read(source)
    found = next((one for one in FORMATS.values() if one.recognises(source)), None)
    if found is None:
        raise StoreError(
            f"{path} is in none of the formats {', '.join(FORMATS)}: give another file, or name the format by --from"
        )
    return found.read(source)
