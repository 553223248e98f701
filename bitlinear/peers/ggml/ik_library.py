"""ik_llama.cpp's ggml through ctypes: weights in memory of torch, and the threads of its own OpenMP.

Declared after ggml.h and ggml-backend.h of ik-llama-cpp-python 0.1.5.
"""

import ctypes
import hashlib
import os
from ctypes import c_int
from functools import lru_cache
from importlib import metadata
from pathlib import Path

import torch
from torch import Tensor

from bitlinear.peers.ggml.graph import GgmlLibrary, Signatures, Weights, declare, describing, place

PACKAGE = "ik-llama-cpp-python"
OWN_BUILD = "IK_LLAMA_CPP_LIB_PATH"
"""The package's variable for another library than its own, `libllama.so`; `libggml.so` lies beside it."""

_OVERREAD = 3
"""Bytes that the kernel of IQ1_BN reads beyond the last block: 16 where a block has 13."""
_FUNCTIONS: Signatures = {"ggml_cpu_has_avx512_vnni": (c_int,)}


def own_build() -> Path | None:
    """The library that `OWN_BUILD` names, whether or not it is there, or None."""
    named = os.environ.get(OWN_BUILD)
    return Path(named).with_name("libggml.so") if named else None


@lru_cache
def fingerprint(path: Path) -> str:
    """What tells one build from another, as a version would."""
    return f"sha256 {hashlib.sha256(path.read_bytes()).hexdigest()[:8]}"


def located() -> Path:
    """The user's own build, or the package's. Raises ImportError if the package has none."""
    if own := own_build():
        return own
    for file in metadata.files(PACKAGE) or ():
        if file.name in ("libggml.so", "libggml.dylib") and file.parent.name == "lib":
            return Path(str(file.locate()))
    raise ImportError(f"{PACKAGE} is installed without libggml.so; install it again")


@lru_cache
def load(path: Path) -> GgmlLibrary:
    """The library at `path`, whose functions call each other and not those of another ggml in the process."""
    first_its_own = getattr(os, "RTLD_DEEPBIND", 0)  # macOS looks names up so without being asked
    return declare(ctypes.CDLL(str(path), ctypes.DEFAULT_MODE | first_its_own), _FUNCTIONS)


def keep(library: GgmlLibrary, kind: int, weight: Tensor) -> Weights:
    """A float32 weight `(N, K)` in the format `kind`, quantised by the library."""
    rows, columns = weight.shape
    with describing(library) as (context, description):
        tensor = library.ggml_new_tensor_2d(context, kind, columns, rows)
        size = library.ggml_nbytes(tensor)
        memory = torch.zeros(size + _OVERREAD, dtype=torch.uint8, device="cpu")[:size]
        weights = Weights(library, tensor, (rows, columns), memory, description)
        place(library, weights, tensor, memory)
    library.ggml_quantize_chunk(kind, weight.data_ptr(), memory.data_ptr(), 0, rows, columns, None)
    return weights


def backend(library: GgmlLibrary, threads: int) -> int:
    """With `threads` threads of OpenMP from the next call on."""
    made = _backend(library)
    library.ggml_backend_cpu_set_n_threads(made, threads)
    return made


@lru_cache
def _backend(library: GgmlLibrary) -> int:
    """Kept until the process ends."""
    made: int = library.ggml_backend_cpu_init()
    return made
