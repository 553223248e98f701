"""What GitHub Actions shows of a gate: a summary of the step, annotations, and outputs for later steps."""

import uuid
from collections.abc import Mapping
from pathlib import Path

from harness.show.ci import pull_request
from harness.show.ci.rows import rows
from harness.show.ci.verdict_file import VerdictFile
from harness.show.verdict_words import spaced

SUMMARY_LIMIT = 2**20
"""Bytes from which on GitHub shows nothing of a step's summary."""
MOST = 6
"""Annotations. GitHub shows ten of a kind and step, and other steps want to say something too."""


def add_summary(path: Path, verdict: VerdictFile) -> None:
    """Append the page to the step's summary, cut so that all of it stays below the limit."""
    taken = path.stat().st_size if path.exists() else 0
    before = "\n" if taken else ""
    with path.open("ab") as file:
        file.write(f"{before}{pull_request.page(verdict, SUMMARY_LIMIT - 2 - taken)}".encode())


def add_outputs(path: Path, verdict: VerdictFile, directory: Path | None) -> None:
    """Append what later steps may ask for."""
    outputs = {
        "exit-code": str(verdict.exit_code),
        "verdict": verdict.answer,
        "headline": " ".join(verdict.headline.split()),
        "regressed": str(verdict.counts.get("regressed", 0)),
        "directory": str(directory or ""),
    }
    with path.open("ab") as file:
        file.write("".join(_output(name, value) for name, value in outputs.items()).encode(errors="replace"))


def annotations(verdict: VerdictFile) -> list[str]:
    """Workflow commands: the headline, then the gravest rows."""
    found = [_annotation("error" if verdict.exit_code else "notice", "bitbench gate", verdict.headline)]
    for row in rows(verdict):
        if row.word in ("regressed", "not_measured", "incomparable"):
            kind = "error"
        elif row.word == "inconclusive":
            kind = "error" if verdict.policy == "release" else "warning"
        else:
            continue
        where = " ".join(filter(None, (row.implementation, row.point, row.metric)))
        found.append(_annotation(kind, f"{spaced(row.word)}: {where}", row.reason))
    return found[:MOST]


def is_here(environment: Mapping[str, str]) -> bool:
    """Whether somebody reads annotations."""
    return environment.get("GITHUB_ACTIONS") == "true"


def _output(name: str, value: str) -> str:
    """Between two lines that nobody can foresee, so that no value can set another output."""
    end = f"end-{uuid.uuid4().hex}"
    return f"{name}<<{end}\n{value}\n{end}\n"


def _annotation(kind: str, title: str, message: str) -> str:
    return f"::{kind} title={_data(title).replace(':', '%3A').replace(',', '%2C')}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
