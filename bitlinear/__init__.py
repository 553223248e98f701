"""BitLinear: a linear layer on 1- to 8-bit weights, its numerical contract, and several ways of computing it.

    from bitlinear import BitLinear

    layer = BitLinear(10, 20, groups=2)
    y = layer(torch.randn(128, 10))  # (128, 20)

`docs/reference/contract.md` says exactly what the layer computes.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bitlinear.engines.packed import PackedLinear
    from bitlinear.implementations import IMPLEMENTATIONS
    from bitlinear.interface import Implementation
    from bitlinear.layer import BitLinear
    from bitlinear.models.conversion import convert, replace_linear
    from bitlinear.models.plan import Plan
    from bitlinear.models.record import conversion_of
    from bitlinear.models.selection import survey
    from bitlinear.quantize import absmax_quantize
    from bitlinear.scheme import Scheme

__all__ = [
    "IMPLEMENTATIONS",
    "BitLinear",
    "Implementation",
    "PackedLinear",
    "Plan",
    "Scheme",
    "absmax_quantize",
    "conversion_of",
    "convert",
    "replace_linear",
    "survey",
]

_HOMES = {
    "IMPLEMENTATIONS": "bitlinear.implementations",
    "BitLinear": "bitlinear.layer",
    "Implementation": "bitlinear.interface",
    "PackedLinear": "bitlinear.engines.packed",
    "Plan": "bitlinear.models.plan",
    "Scheme": "bitlinear.scheme",
    "absmax_quantize": "bitlinear.quantize",
    "conversion_of": "bitlinear.models.record",
    "convert": "bitlinear.models.conversion",
    "replace_linear": "bitlinear.models.conversion",
    "survey": "bitlinear.models.selection",
}


def __getattr__(name: str) -> object:
    # Importing any module of a package runs this file first. Were the names above imported here, then
    # `from bitlinear.scheme import Scheme`, which a command line needs to parse its arguments and which uses no
    # torch, would wait one to two seconds for torch. So every name is fetched when it is first asked for (PEP 562).
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has: {', '.join(__all__)}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
