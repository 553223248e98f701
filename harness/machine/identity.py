"""Which machine this is without saying so: an identity that tells machines apart, and the labels that its owner gave.

An identity is 16 hexadecimal digits of a salted SHA-256 of what the system keeps to tell itself from others
(machine-id(5) asks programs to hash it with a salt of their own before they hand it on). It says nothing of a host,
a user or a place, and another program's hash of the same machine is another.
"""

import hashlib
import os
import platform
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from harness.errors import UsageError
from harness.machine.shell import _output

NAMED, LABELLED = "BITBENCH_MACHINE", "BITBENCH_LABELS"
"""Variables that tell machines apart which share a machine-id, as containers of one image do, and that label them."""
SALT = b"bitlinear-bench machine\n"
FILES = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
LONGEST = 64
"""Characters of the name or the value of a label."""


def identity() -> str:
    """16 hexadecimal digits, the same until the system is installed anew; empty where the system has nothing to hash.

    The variable BITBENCH_MACHINE, any text, is hashed instead if it is set.
    """
    told = os.environ.get(NAMED) or _of_the_system()
    return hashlib.sha256(SALT + told.encode(errors="surrogateescape")).hexdigest()[:16] if told else ""


@cache
def _of_the_system() -> str:
    """Only the parts that no update changes."""
    for file in FILES:
        try:
            if text := file.read_text().strip():
                return text
        except (OSError, UnicodeDecodeError):  # missing, or not to be read here: the next one may be
            continue
    if platform.system() == "Darwin":
        found = re.search(r'"IOPlatformUUID" = "([^"]+)"', _output("ioreg", "-rd1", "-c", "IOPlatformExpertDevice"))
        return found[1] if found else ""
    return ""


def parse_labels(texts: Iterable[str], where: str = "--label") -> dict[str, str]:
    """Labels by name, from "rack=3" or "rack=3,room=b". Raises UsageError for what is not of that form or given twice.

    `where` is named in the error.
    """
    labels: dict[str, str] = {}
    for text in (part for one in texts for part in one.split(",")):
        name, _, value = (part.strip() for part in text.partition("="))
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]*", name) or not value or not value.isprintable():
            raise UsageError(f"{where} {text[:100]!r} is not of the form name=value, as in rack=3")
        if max(len(name), len(value)) > LONGEST:
            raise UsageError(f"{where} {text[:40]!r}... is longer than {LONGEST} characters: give a shorter one")
        if labels.setdefault(name, value) != value:
            raise UsageError(f"{where} gives {name} two values, {labels[name]} and {value}: give one")
    return labels


def labels(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Those in the variable BITBENCH_LABELS. Raises UsageError as `parse_labels`."""
    text = environ.get(LABELLED, "").strip()
    return parse_labels((text,), LABELLED) if text else {}
