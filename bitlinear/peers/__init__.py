"""Other people's libraries as contestants, one library a file, in the order in which tables show them.

Importing this imports none of the libraries.
"""

from bitlinear.peers.bitblas import BitBlas
from bitlinear.peers.bitlinear_pytorch import BitLinearPytorch
from bitlinear.peers.bitsandbytes import BnbInt8, BnbNf4
from bitlinear.peers.gemlite import Gemlite
from bitlinear.peers.ggml import GGML, IK
from bitlinear.peers.interface import Peer
from bitlinear.peers.litespark import Litespark
from bitlinear.peers.quanto import Quanto
from bitlinear.peers.torch_kernels import TorchDynamic, TorchInt4, TorchInt8
from bitlinear.peers.torchao import (
    TorchaoBitNet,
    TorchaoInt4,
    TorchaoInt8Dynamic,
    TorchaoInt8WeightOnly,
    TorchaoIntx,
)
from bitlinear.peers.transformers_bitnet import (
    TransformersAutoBitLinear,
    TransformersAutoBitLinearOnline,
    TransformersBitLinear,
)
from bitlinear.peers.zetascale import Zetascale

__all__ = ["PEERS"]

PEERS: tuple[Peer, ...] = (
    TorchInt8(),
    TorchInt4(),
    TorchDynamic(),
    TorchaoInt8WeightOnly(),
    TorchaoInt8WeightOnly(compiled=True),
    TorchaoInt8Dynamic(),
    TorchaoInt8Dynamic(compiled=True),
    TorchaoInt4(),
    TorchaoIntx(4),
    TorchaoIntx(2),
    TorchaoBitNet(),
    Quanto(8),
    Quanto(4),
    Quanto(2),
    BnbInt8(),
    BnbNf4(),
    Litespark(),
    *GGML,
    *IK,
    BitLinearPytorch(),
    TransformersBitLinear(),
    TransformersAutoBitLinear(),
    TransformersAutoBitLinearOnline(),
    Zetascale(),
    Gemlite(),
    BitBlas(),
)
