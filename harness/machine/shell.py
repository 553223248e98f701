"""Programs of the system that are asked something, and may be missing."""

import subprocess

LIMIT = 10.0
"""Seconds that a program which is asked something may take."""


def _output(*command: str) -> str:
    """What `command` prints; empty when it is missing, fails or takes longer than ten seconds."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
