"""ggml as contestants: its formats of 1.7 to 8.5 bits, with activations quantised in blocks.

Importing this does not load it.
"""

from bitlinear.peers.ggml.llama import GGML

__all__ = ["GGML"]
