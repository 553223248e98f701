"""What must be the same on every machine, or their runs tell of different programs: bitbench itself, and packages."""

import hashlib
import importlib.metadata
import re

import msgspec

from harness import HOME
from harness.model import Revision

PROJECT = "bitlinear-bench"
SOURCES = ("bitlinear", "harness", "suites")
NOT_MEASURED = frozenset({"dev", "docs", "experiments"})
"""Extras whose packages no measurement uses."""


class Code(msgspec.Struct, frozen=True):
    """What runs on a machine."""

    revision: Revision
    sources: str
    """Digest of all files of bitbench, so that copies outside git and uncommitted changes can be compared too."""
    packages: dict[str, str]
    """Version by name, of those that are installed of what bitbench measures with."""


def digest_of_sources() -> str:
    """SHA-256 over names and contents of the files of bitbench, less what Python has made of them."""
    digest = hashlib.sha256()
    files = (path for name in SOURCES for path in (HOME / name).rglob("*") if "__pycache__" not in path.parts)
    for path in sorted(path for path in files if path.is_file()):
        digest.update(f"{path.relative_to(HOME)}\0".encode(errors="surrogateescape"))
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Version by name of every package that is installed of those that bitbench names for measuring."""
    try:
        wanted = importlib.metadata.requires(PROJECT) or []
    except importlib.metadata.PackageNotFoundError:  # a checkout that was never installed: all there are
        wanted = [one.metadata["Name"] for one in importlib.metadata.distributions()]
    found = {}
    for name in filter(None, map(_measured_with, wanted)):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:  # of an extra that is not installed
            continue
    return dict(sorted(found.items()))


def _measured_with(requirement: str) -> str:
    """The name in a requirement; empty where it is only for an extra that is not for measuring."""
    extra = re.search(r"""extra\s*==\s*['"]([^'"]+)""", requirement)
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    return name[0].lower() if name and not (extra and extra[1] in NOT_MEASURED) else ""


def unlike(one: Code, other: Code) -> str:
    """Why runs of both are not runs of one program, in words; empty when they are."""
    if one.sources != other.sources:
        this, that = map(_words, (one.revision, other.revision))
        return f"bitbench is {this} here and {that} there" if this != that else "files of bitbench differ"
    names = sorted(one.packages.keys() | other.packages.keys())
    sides = [(name, one.packages.get(name, "missing"), other.packages.get(name, "missing")) for name in names]
    return ", ".join(f"{name} is {this} here and {that} there" for name, this, that in sides if this != that)


def _words(revision: Revision) -> str:
    if not revision.commit:
        return "of no commit"
    return f"at {revision.commit[:7]}{' with changes' * revision.dirty}"
