"""ggml as llama.cpp uses it, through ctypes: weights in a buffer of its own, threads that stay.

Declared after ggml.h, ggml-backend.h and ggml-cpu.h of ggml 0.20.
"""

import ctypes
import weakref
from ctypes import c_bool, c_int, c_size_t, c_uint8, c_uint32, c_void_p
from functools import lru_cache
from importlib import metadata
from pathlib import Path

import torch
from torch import Tensor

from bitlinear.peers.ggml.graph import F32, GgmlLibrary, Signatures, Weights, declare, describing

_POLL = 1
"""ggml's threads look for work for about two milliseconds before they sleep. Its default of 50 keeps a core busy for a
tenth of a second after the last call, at the cost of whoever is measured next."""
_EXTRA_BUFFERS = b"ggml_backend_dev_get_extra_bufts"


class _ThreadpoolParams(ctypes.Structure):
    _fields_ = (
        ("cpumask", c_bool * 512),
        ("n_threads", c_int),
        ("prio", c_int),
        ("poll", c_uint32),
        ("strict_cpu", c_bool),
        ("paused", c_bool),
    )


_FUNCTIONS: Signatures = {
    "ggml_backend_cpu_buffer_type": (c_void_p,),
    "ggml_backend_buft_alloc_buffer": (c_void_p, c_void_p, c_size_t),
    "ggml_backend_buft_get_alloc_size": (c_size_t, c_void_p, c_void_p),
    "ggml_backend_buffer_get_base": (c_void_p, c_void_p),
    "ggml_backend_tensor_set": (None, c_void_p, c_void_p, c_size_t, c_size_t),
    "ggml_backend_reg_dev_get": (c_void_p, c_void_p, c_size_t),
    "ggml_backend_reg_get_proc_address": (c_void_p, c_void_p, ctypes.c_char_p),
    "ggml_backend_dev_supports_op": (c_bool, c_void_p, c_void_p),
    "ggml_backend_cpu_reg": (c_void_p,),
    "ggml_backend_cpu_set_threadpool": (None, c_void_p, c_void_p),
    "ggml_threadpool_params_init": (None, ctypes.POINTER(_ThreadpoolParams), c_int),
    "ggml_threadpool_new": (c_void_p, ctypes.POINTER(_ThreadpoolParams)),
}


@lru_cache
def load(package: str) -> GgmlLibrary:
    """The library that the distribution `package` brings along. Raises ImportError if it has none."""
    folders = {name: _locate(package, name) for name in ("libggml-base", "libggml-cpu")}
    ctypes.CDLL(str(folders["libggml-base"]), ctypes.RTLD_GLOBAL)
    library = ctypes.CDLL(str(folders["libggml-cpu"]))  # finds the functions of the other one too
    return declare(library, _FUNCTIONS)


def _locate(package: str, name: str) -> Path:
    for file in metadata.files(package) or ():
        if file.name in (f"{name}.so", f"{name}.dylib"):
            return Path(str(file.locate()))
    raise ImportError(f"{package} is installed without {name}.so; install it again")


def keep(library: GgmlLibrary, kind: int, weight: Tensor) -> Weights:
    """A weight `(N, K)` in the format `kind`, in the layout that ggml's CPU backend likes best for it.

    Its memory lives as long as what is returned does.
    """
    rows, columns = weight.shape
    for layout in _layouts(library):
        with describing(library) as (context, description):
            tensor = library.ggml_new_tensor_2d(context, kind, columns, rows)
            size = library.ggml_backend_buft_get_alloc_size(layout, tensor)
            buffer = library.ggml_backend_buft_alloc_buffer(layout, size)
            base = library.ggml_backend_buffer_get_base(buffer)
            library.ggml_backend_tensor_alloc(buffer, tensor, base)
            multiplies = _multiplies(library, context, tensor, columns)
        memory = torch.frombuffer((c_uint8 * size).from_address(base), dtype=torch.uint8)
        weights = Weights(library, tensor, (rows, columns), memory, description)
        weakref.finalize(weights, library.ggml_backend_buffer_free, buffer)
        if multiplies:
            break
    plain = torch.empty(library.ggml_nbytes(tensor), dtype=torch.uint8, device="cpu")
    library.ggml_quantize_chunk(kind, weight.data_ptr(), plain.data_ptr(), 0, rows, columns, None)
    library.ggml_backend_tensor_set(tensor, plain.data_ptr(), 0, plain.numel())
    return weights


def _multiplies(library: GgmlLibrary, context: int, tensor: int, columns: int) -> bool:
    """Whether ggml multiplies with the weight where it lies."""
    x = library.ggml_new_tensor_2d(context, F32, columns, 1)
    product = library.ggml_mul_mat(context, tensor, x)
    able: bool = library.ggml_backend_dev_supports_op(_device(library), product)
    return able


@lru_cache
def backend(library: GgmlLibrary, threads: int) -> int:
    """With threads that stay. Kept until the process ends."""
    made: int = library.ggml_backend_cpu_init()
    library.ggml_backend_cpu_set_n_threads(made, threads)
    params = _ThreadpoolParams()
    library.ggml_threadpool_params_init(params, threads)
    params.poll = _POLL
    library.ggml_backend_cpu_set_threadpool(made, library.ggml_threadpool_new(params))
    return made


def _device(library: GgmlLibrary) -> int:
    device: int = library.ggml_backend_reg_dev_get(library.ggml_backend_cpu_reg(), 0)
    return device


def _layouts(library: GgmlLibrary) -> list[int]:
    """Types of buffers, the best first, as llama.cpp asks for them: those that interleave rows, then the plain one."""
    address = library.ggml_backend_reg_get_proc_address(library.ggml_backend_cpu_reg(), _EXTRA_BUFFERS)
    extra: list[int] = []
    if address:
        types = ctypes.CFUNCTYPE(ctypes.POINTER(c_void_p), c_void_p)(address)(_device(library))
        while layout := types[len(extra)]:
            extra.append(layout)
    return [*extra, library.ggml_backend_cpu_buffer_type()]
