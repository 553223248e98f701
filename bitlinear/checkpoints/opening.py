"""Which reader a path is for."""

from pathlib import Path

from bitlinear.checkpoints import gguf_header
from bitlinear.checkpoints.bitnet import BitNetCheckpoint, bitnet_config
from bitlinear.checkpoints.contents import Checkpoint, CheckpointError
from bitlinear.checkpoints.gguf_file import GgufCheckpoint
from bitlinear.checkpoints.safetensors_file import SafetensorsCheckpoint
from bitlinear.checkpoints.torchao import TorchaoCheckpoint, torchao_weights


def open_checkpoint(path: str | Path) -> Checkpoint:
    """The checkpoint at `path`: a GGUF file, a safetensors file, or a folder whose safetensors files make up a model.

    What a `config.json` beside safetensors files says of BitNet is heeded: it decides what `weight_scale` means. So is
    the metadata that torchao writes into safetensors files.

    Raises CheckpointError for anything else, and for a file that is damaged.
    """
    path = Path(path)
    try:
        if path.is_dir():
            files = sorted(path.glob("*.safetensors"))
            magic = b""
        else:
            files = [path]
            with path.open("rb") as file:
                magic = file.read(len(gguf_header.MAGIC))
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
    if magic == gguf_header.MAGIC:
        return GgufCheckpoint(path)
    if not files or files[0].suffix != ".safetensors":
        raise CheckpointError(f"{path} is neither a GGUF file, nor a .safetensors file or a folder with such files")
    if config := bitnet_config(files[0].parent / "config.json"):
        return BitNetCheckpoint(path, files, config)
    weights = torchao_weights(files)
    if weights is not None:
        return TorchaoCheckpoint(path, files, weights)
    return SafetensorsCheckpoint(path, files)
