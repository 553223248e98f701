"""ggml and its faster fork ik_llama.cpp as contestants: formats of 1.6 to 8.5 bits, activations quantised in blocks.

Importing this loads neither library.
"""

from bitlinear.peers.ggml.ik import IK
from bitlinear.peers.ggml.llama import GGML

__all__ = ["GGML", "IK"]
