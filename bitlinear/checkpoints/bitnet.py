"""BitNet models of Hugging Face: ternary codes in safetensors, by the rules of transformers' BitNet layers.

`weight_scale` has two meanings, and the file does not say which: `config.json` names the layer's class.

| class, mode | weight in the file | computes |
|---|---|---|
| `bitlinear` | uint8, packed | `(a_codes @ codes.T) / (a_scale weight_scale) + bias` |
| `autobitlinear`, offline | codes as floats, or packed | `(a @ codes.T + bias) weight_scale` |
| `autobitlinear`, online | floats, quantised at every call | `a @ quantised.T + bias` |
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from bitlinear.checkpoints.contents import CheckpointError, StoredCodes, StoredTensor
from bitlinear.checkpoints.safetensors_file import SafetensorsCheckpoint
from bitlinear.quantize import EPS
from bitlinear.scheme import Scheme

_ROWS_A_BYTE = 4
_SCHEME = Scheme(1.58, 8, norm=False)


@dataclass(frozen=True)
class BitNetConfig:
    """What `quantization_config` says, as far as it decides what a layer computes."""

    linear_class: str
    mode: str
    rms_norm: bool

    @property
    def online(self) -> bool:
        """Whether the weights are floats that are quantised at every call."""
        return self.linear_class == "autobitlinear" and self.mode == "online"

    @property
    def divides(self) -> bool:
        """Whether `weight_scale` divides the product, and not multiplies it and the bias."""
        return self.linear_class == "bitlinear"

    @property
    def contract(self) -> str:
        """The function that transformers computes."""
        name = "BitLinear" if self.divides else f"AutoBitLinear, {self.mode}"
        norm = "; its input has gone through an RMS norm of the layer's own, which is not here" if self.rms_norm else ""
        return f"{name} of transformers: one scale for all; activations int8 with a scale for each token{norm}"


def bitnet_config(file: Path) -> BitNetConfig | None:
    """That of a `config.json`, or None where there is no such file or it is of no BitNet model.

    Raises CheckpointError for a file that is damaged, and for a class or mode that transformers does not have.
    """
    if not file.exists():
        return None
    try:
        quantization = json.loads(file.read_bytes())["quantization_config"]
        if quantization["quant_method"] != "bitnet":
            return None
    except (KeyError, TypeError):  # a model that is not quantised, or no object at all
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{file} cannot be read as JSON: {type(error).__name__}") from error
    found = BitNetConfig(
        quantization.get("linear_class", "bitlinear"),
        quantization.get("quantization_mode", "offline"),
        quantization.get("use_rms_norm", False) is True,
    )
    if found.linear_class not in ("bitlinear", "autobitlinear") or found.mode not in ("offline", "online"):
        raise CheckpointError(f"{file} wants {found.linear_class!r}, {found.mode!r}, which transformers does not have")
    return found


class BitNetCheckpoint(SafetensorsCheckpoint):
    """A BitNet model. `codes` reads the weight of a linear layer, `values` whatever is a tensor in the file.

    A packed weight has four output features to a byte. Its shape here is that of the codes; where the bias is shorter,
    the rest is padding and left out. For online models `codes` quantises any float weight as transformers does.
    """

    def __init__(self, path: Path, files: Sequence[Path], config: BitNetConfig) -> None:
        super().__init__(path, files)
        self.config = config
        self._packed = {name for name in self.entries if self._is_packed(name)}
        for name in self._packed:
            rows, columns = self.entries[name].shape
            self.entries[name] = StoredTensor(name, (self._outputs(name, rows), columns), "packed ternary", True)
        for name, entry in self.entries.items():
            if self._has_scale(name) and not config.online:
                self.entries[name] = StoredTensor(name, entry.shape, entry.format, True)

    def _codes(self, entry: StoredTensor) -> StoredCodes:
        bias = self._bias(entry)
        if self.config.online:
            codes, scale = _quantised(self._floats(entry))
            return self._stored(entry, codes, scale, bias)
        if not self._has_scale(entry.name):
            raise self.error(f"{entry.name!r} has no weight_scale beside it, so it holds no codes")
        codes = self._unpacked(entry) if entry.name in self._packed else self._whole(entry)
        scale = self._weight_scale(entry)
        if bias is not None and not self.config.divides:
            bias = bias * scale
        return self._stored(entry, codes, 1 / scale if self.config.divides else scale, bias)

    def _stored(self, entry: StoredTensor, codes: Tensor, scale: Tensor, bias: Tensor | None) -> StoredCodes:
        contract = self.config.contract
        return StoredCodes(entry.name, codes.unsqueeze(1), scale.reshape(1, 1), _SCHEME, contract, bias)

    def _unpacked(self, entry: StoredTensor) -> Tensor:
        """Rows lie in four parts of equal size, and byte `j` holds row `j` of each, the first in the lowest bits."""
        packed = self._values(entry)
        shifts = torch.arange(0, 8, 2, dtype=torch.uint8)[:, None, None]
        digits = (packed >> shifts & 3).flatten(0, 1)[: entry.shape[0]]
        return digits.view(torch.int8) - 1

    def _whole(self, entry: StoredTensor) -> Tensor:
        if self.config.divides:
            raise self.error(f"{entry.name!r} is {entry.format}; BitLinear of transformers wants packed uint8")
        values = self._values(entry)
        codes = values.to(torch.int8)
        if not bool((codes == values).all()):
            raise self.error(f"{entry.name!r} has a weight_scale and holds values that are no ternary codes")
        return codes

    def _weight_scale(self, entry: StoredTensor) -> Tensor:
        scale = self.values(f"{entry.name}_scale")
        if scale.numel() != 1 or not scale.is_floating_point():
            raise self.error(
                f"'{entry.name}_scale' is {scale.dtype} {tuple(scale.shape)}; a weight_scale is one number"
            )
        return scale.float()

    def _floats(self, entry: StoredTensor) -> Tensor:
        values = self._values(entry)
        if not values.is_floating_point():
            raise self.error(f"{entry.name!r} is {entry.format}; an online model has float weights")
        return values

    def _has_scale(self, name: str) -> bool:
        return name.endswith(".weight") and f"{name}_scale" in self.entries

    def _is_packed(self, name: str) -> bool:
        entry = self.entries[name]
        return self._has_scale(name) and entry.format == "U8" and len(entry.shape) == 2 and not self.config.online

    def _outputs(self, name: str, rows: int) -> int:
        """Output features of a packed weight: all, or as many as the bias has if they need the same bytes."""
        bias = self.entries.get(name.removesuffix("weight") + "bias")
        known = bias.shape[0] if bias and len(bias.shape) == 1 else 0
        return known if -(-known // _ROWS_A_BYTE) == rows else rows * _ROWS_A_BYTE


def _quantised(weight: Tensor) -> tuple[Tensor, Tensor]:
    """As `WeightQuant` of transformers: it multiplies by an inverse, and rounds the scale to the weight's dtype."""
    inverse = 1.0 / weight.float().abs().mean().clamp_min(EPS)
    codes = (weight.float() * inverse).round().clamp(-1, 1)
    return codes.to(torch.int8), (1 / inverse).to(weight.dtype).float()
