"""`bitbench model`: what a whole model is made of."""

from harness.commands.model.listing import command

__all__ = ["command"]
