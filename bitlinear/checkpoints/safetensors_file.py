"""Plain safetensors: tensors and their dtypes, and nothing of what they mean."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from bitlinear.checkpoints.contents import Checkpoint, CheckpointError, StoredCodes, StoredTensor


class SafetensorsCheckpoint(Checkpoint):
    """One file, or the files that a model was split into. `values` reads tensors; there are no codes.

    Weights that were dequantised to floats keep their codes in `BitLinear.from_linear`, which recognises them.
    """

    def __init__(self, path: Path, files: Sequence[Path]) -> None:
        super().__init__(path)
        self._homes: dict[str, Path] = {}
        self.entries: dict[str, StoredTensor] = {}
        for file in files:
            with _opened(file) as stored:
                for name in stored.keys():  # noqa: SIM118  # a handle of the library, and no dict
                    if name in self._homes:
                        raise self.error(f"{name!r} is in {self._homes[name].name} and in {file.name}")
                    part = stored.get_slice(name)
                    self._homes[name] = file
                    self.entries[name] = StoredTensor(name, tuple(part.get_shape()), str(part.get_dtype()), False)

    def _codes(self, entry: StoredTensor) -> StoredCodes:
        raise self.error(f"{entry.name!r} is {entry.format}, and nothing beside the file says that it holds codes")

    def _values(self, entry: StoredTensor) -> Tensor:
        with _opened(self._homes[entry.name]) as stored:
            tensor: Tensor = stored.get_tensor(entry.name).clone()  # the library maps the file into memory
            return tensor


def metadata_of(file: Path) -> dict[str, str]:
    """The texts by name that a file has beside its tensors. Raises CheckpointError for a file that is damaged."""
    with _opened(file) as stored:
        return stored.metadata() or {}


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    open_file, refusal = _library(file)
    try:
        with open_file(file, framework="pt") as stored:
            yield stored
    except refusal as error:
        raise CheckpointError(
            f"{file} is no safetensors file that can be read: {' '.join(str(error).split())}"
        ) from error


def _library(file: Path) -> tuple[Callable[..., Any], tuple[type[Exception], ...]]:
    """How the package safetensors opens a file, and what it raises for one that is damaged."""
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise CheckpointError(
            f"{file} needs the package safetensors: pip install 'bitlinear-bench[checkpoints]'"
        ) from error
    return safe_open, (SafetensorError, OSError)
