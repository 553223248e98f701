"""What implementations have in common that compute on codes of the weight."""

import torch

from bitlinear.interface import Implementation
from bitlinear.scheme import FULL_PRECISION, Scheme


class CodedImplementation(Implementation):
    """An implementation whose ops store weight codes."""

    def why_not(self, *, scheme: Scheme, device: str, dtype: torch.dtype, training: bool = False) -> str | None:
        """Also says that there must be weight codes to store."""
        if scheme.weight_bits == FULL_PRECISION:
            return f"{self.name} stores weight codes, and weight_bits={FULL_PRECISION} has none; use reference"
        return super().why_not(scheme=scheme, device=device, dtype=dtype, training=training)
