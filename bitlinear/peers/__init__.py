"""Other people's libraries as contestants, one a file, in the order in which tables show them.

Importing this imports none of the libraries.
"""

from bitlinear.peer import Peer

__all__ = ["PEERS"]

PEERS: tuple[Peer, ...] = ()
