"""How an implementation gets into a model: the line of code that the report puts below its advice. Imports no torch."""

from harness.model import Params

CONVERTS = ("native", "packed", "int8", "compiled")
"""Implementations that `bitlinear.convert` puts in the place of a model's linear layers."""


def usage(implementation: str, params: Params) -> str:
    """`bitlinear.convert(model, "native", "w1.58a8")`; empty for what it does not convert to."""
    if implementation not in CONVERTS or "scheme" not in params:
        return ""
    return f'bitlinear.convert(model, "{implementation}", "{params["scheme"]}")'
