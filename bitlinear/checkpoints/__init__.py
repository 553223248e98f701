"""Checkpoints of low-bit weights: codes and scales as they lie in the file, bit for bit, with no floats in between.

`open_checkpoint(path).codes(name)` gives what `PackedLinear.from_codes` and `NativeLinear.from_codes` take.
"""

from bitlinear.checkpoints.contents import Checkpoint, CheckpointError, StoredCodes, StoredTensor
from bitlinear.checkpoints.opening import open_checkpoint

__all__ = ["Checkpoint", "CheckpointError", "StoredCodes", "StoredTensor", "open_checkpoint"]
