"""How an implementation gets into a model: the code that the report puts below its advice. Imports no torch."""

from bitlinear.scheme import Scheme
from harness.model import Params

CONVERTS = ("native", "packed", "int8", "compiled")
"""Implementations that `bitlinear.convert` puts in the place of a model's linear layers."""


def usage(implementation: str, params: Params) -> str:
    """`bitlinear.convert(model, "native", "w8a8-nonorm")`; empty for what it does not convert to.

    A scheme with a normalisation ruins a model that was not trained with it. It has two lines, one for before the
    training and one for after it.
    """
    if implementation not in CONVERTS or "scheme" not in params:
        return ""
    scheme = str(params["scheme"])
    if Scheme.parse(scheme).norm:
        before = f'bitlinear.replace_linear(model, "{scheme}")  # before training'
        return f'{before}\nbitlinear.convert(model, "{implementation}")  # after it'
    return f'bitlinear.convert(model, "{implementation}", "{scheme}")'
