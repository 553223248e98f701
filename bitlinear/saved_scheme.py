"""The scheme as part of a layer's state, so that codes are not read by another scheme than they were written by."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from bitlinear.scheme import Scheme

_KEY = "_extra_state"  # torch's own name for it


class SavesScheme(nn.Module):
    """A layer whose `state_dict` has its scheme beside its tensors, under `_extra_state`.

    It is a uint8 tensor of the scheme's text, because formats such as safetensors hold tensors alone. The state of
    another scheme is refused before anything is loaded (RuntimeError, as torch reports what does not fit). A state
    without one, as `nn.Linear` and earlier versions write it, is taken as it is.
    """

    scheme: Scheme

    def get_extra_state(self) -> Tensor:
        """The scheme's text in ASCII, uint8, on the CPU."""
        return torch.tensor(list(self.saved_as().encode("ascii")), dtype=torch.uint8, device="cpu")

    def saved_as(self) -> str:
        """The text that tells the layer's codes from those of others: its scheme, and what else they depend on."""
        return str(self.scheme)

    def set_extra_state(self, state: Tensor) -> None:
        """There is nothing left to do: a layer has its scheme from the start, and `state` was compared with it."""

    def _load_from_state_dict(  # type: ignore[no-untyped-def]  # torch passes its own bookkeeping through
        self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
    ) -> None:
        saved = _text(state_dict.get(prefix + _KEY))
        if saved and saved != self.saved_as():
            error_msgs.append(
                f"{prefix.rstrip('.') or type(self).__name__}: the state is of a layer of scheme {saved}, "
                f"and this layer has {self.saved_as()}; make the layer with scheme {saved}"
            )
            return
        self._before_loading(state_dict, prefix)
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )
        if prefix + _KEY in missing_keys:
            missing_keys.remove(prefix + _KEY)

    def _before_loading(self, state: Mapping[str, Any], prefix: str) -> None:
        """A chance to make room for what `state` has; its scheme is the right one."""


def _text(state: Any) -> str:
    """The scheme that a state tells of, or nothing: it has none, or lies on the meta device."""
    if not isinstance(state, Tensor) or state.is_meta:
        return ""
    return bytes(state.to(torch.uint8).tolist()).decode("ascii", "replace")
