"""`bitbench history`: months of runs."""

from harness.commands.history.group import command

__all__ = ["command"]
