"""The contestants by name, for the harness: the house's own, those of installed packages, and anyone's by reference."""

from functools import cache

import torch
from torch import nn

from bitlinear.implementations import IMPLEMENTATIONS
from bitlinear.interface import Implementation
from bitlinear.layer import BitLinear
from bitlinear.peers import PEERS
from bitlinear.peers.interface import Peer
from bitlinear.scheme import Scheme
from harness.errors import UsageError
from harness.model import Params
from harness.model.suite import Catalogue
from harness.user_code import shadowing
from harness.user_code.installed import IMPLEMENTATION_GROUP, Installed, installed
from harness.user_code.reference import follow, others
from suites.catalogue.factory import NoFactoryError, from_factory, would_do

_BY_NAME: dict[str, Implementation] = {one.name: one for one in (*IMPLEMENTATIONS, *PEERS)}
_USUAL, _WITHOUT_NORM = Scheme.parse("w1.58a8"), Scheme.parse("w1.58a8-nonorm")


def catalogue() -> Catalogue:
    """The project's own, the peers, and those of installed packages, which are imported when they are used."""
    found, disputed = installed(IMPLEMENTATION_GROUP, _BY_NAME)
    doubts = tuple(doubt for some in disputed.values() for doubt in some)
    peers: dict[str, Params] = {peer.name: dict(peer.facts()) for peer in PEERS}
    own = {name: one.summary for name, one in _BY_NAME.items()}
    baselines = tuple(name for name, one in _BY_NAME.items() if one.baseline)
    summaries = own | {name: one.summary for name, one in found.items()}
    return Catalogue(summaries, _why_not, find, doubts, peers, baselines)


def find(name: str) -> Implementation:
    """The contestant called `name`, or the user's own when it is given as package.module:object.

    Raises UsageError when the user's cannot be imported or is no implementation, and when nobody is called so. One of
    an installed package that cannot be had is there and says why it cannot run.
    """
    if name in _BY_NAME:
        return _BY_NAME[name]
    if ":" in name:
        return _followed(name, name)
    found, _ = installed(IMPLEMENTATION_GROUP, _BY_NAME)
    if name not in found:
        raise UsageError(f"there is no implementation {name!r} any more; `bitbench list` shows them all")
    return _brought(found[name])


@cache
def _brought(one: Installed) -> Implementation:
    try:
        return _followed(one.reference, one.name)
    except UsageError as error:
        return Broken(one, str(error))


def _followed(reference: str, name: str) -> Implementation:
    made = follow(reference, shadowing.import_module, would_do)
    try:
        return from_factory(made, name)
    except NoFactoryError as error:
        raise UsageError(f"{error}{others(reference, shadowing.import_module, would_do)}") from error


class Broken(Implementation):
    """What stands in for an implementation of an installed package that cannot be had."""

    def __init__(self, one: Installed, reason: str) -> None:
        self.name, self.summary = one.name, one.summary
        self.reason = f"{one.package} {one.version} is broken: {reason}"

    def why_not(self, *, scheme: Scheme, device: str, dtype: torch.dtype, training: bool = False) -> str:
        """The reason, always."""
        return self.reason

    def build(self, layer: BitLinear) -> nn.Module:
        """Never asked for, because `why_not` always has a reason. Raises RuntimeError."""
        raise RuntimeError(self.reason)


def _why_not(name: str, device: str) -> str | None:
    """Whether it runs here at all: a peer by a scheme without normalisation, which most of them lack.

    Of what a package has brought that is only known once it is imported, when it is used.
    """
    own = _BY_NAME.get(name)
    scheme = _WITHOUT_NORM if isinstance(own, Peer) else _USUAL
    return own.why_not(scheme=scheme, device=device, dtype=torch.float32) if own else None
