"""The contestants by name, for the harness."""

import torch

from bitlinear.implementation import Implementation, from_factory
from bitlinear.implementations import IMPLEMENTATIONS
from bitlinear.peer import Peer
from bitlinear.peers import PEERS
from bitlinear.scheme import Scheme
from harness.suite import Catalogue, follow

_BY_NAME: dict[str, Implementation] = {one.name: one for one in (*IMPLEMENTATIONS, *PEERS)}
_USUAL, _WITHOUT_NORM = Scheme.parse("w1.58a8"), Scheme.parse("w1.58a8-nonorm")


def catalogue() -> Catalogue:
    """Every contestant of the project, and the peers."""
    summaries = {name: one.summary for name, one in _BY_NAME.items()}
    return Catalogue(summaries, _why_not, {peer.name: dict(peer.facts()) for peer in PEERS})


def find(name: str) -> Implementation:
    """The contestant called `name`, or the user's own when it is given as package.module:object.

    Raises UsageError when the user's cannot be imported.
    """
    return _BY_NAME[name] if name in _BY_NAME else from_factory(follow(name), name)


def _why_not(name: str, device: str) -> str | None:
    """Whether it runs here at all: a peer by a scheme without normalisation, which most of them lack."""
    one = _BY_NAME[name]
    scheme = _WITHOUT_NORM if isinstance(one, Peer) else _USUAL
    return one.why_not(scheme=scheme, device=device, dtype=torch.float32)
