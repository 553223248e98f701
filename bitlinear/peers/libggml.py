"""ggml's libraries through ctypes: weights in a buffer of theirs, and a graph of one `mul_mat` that is built once.

Declared after ggml.h, ggml-backend.h and ggml-cpu.h of ggml 0.20. No structure is looked into but the two that callers
fill in; everything else is an address.
"""

import ctypes
import weakref
from ctypes import c_bool, c_int, c_int64, c_size_t, c_uint8, c_uint32, c_void_p
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

GgmlLibrary = Any
"""What ctypes gives: functions by name."""

F32 = 0
"""`GGML_TYPE_F32`"""
_OVERHEAD_TENSORS, _GRAPH_NODES = 8, 8
_POLL = 1
"""ggml's threads look for work for about two milliseconds before they sleep. Its default of 50 keeps a core busy for a
tenth of a second after the last call, at the cost of whoever is measured next."""
_EXTRA_BUFFERS = b"ggml_backend_dev_get_extra_bufts"


class _ContextParams(ctypes.Structure):
    _fields_ = (("mem_size", c_size_t), ("mem_buffer", c_void_p), ("no_alloc", c_bool))


class _ThreadpoolParams(ctypes.Structure):
    _fields_ = (
        ("cpumask", c_bool * 512),
        ("n_threads", c_int),
        ("prio", c_int),
        ("poll", c_uint32),
        ("strict_cpu", c_bool),
        ("paused", c_bool),
    )


_FUNCTIONS: dict[str, tuple[Any, ...]] = {  # result, then arguments
    "ggml_init": (c_void_p, _ContextParams),
    "ggml_free": (None, c_void_p),
    "ggml_tensor_overhead": (c_size_t,),
    "ggml_graph_overhead_custom": (c_size_t, c_size_t, c_bool),
    "ggml_new_tensor_2d": (c_void_p, c_void_p, c_int, c_int64, c_int64),
    "ggml_mul_mat": (c_void_p, c_void_p, c_void_p, c_void_p),
    "ggml_new_graph_custom": (c_void_p, c_void_p, c_size_t, c_bool),
    "ggml_build_forward_expand": (None, c_void_p, c_void_p),
    "ggml_nbytes": (c_size_t, c_void_p),
    "ggml_quantize_chunk": (c_size_t, c_int, c_void_p, c_void_p, c_int64, c_int64, c_int64, c_void_p),
    "ggml_backend_cpu_buffer_type": (c_void_p,),
    "ggml_backend_buft_alloc_buffer": (c_void_p, c_void_p, c_size_t),
    "ggml_backend_buft_get_alloc_size": (c_size_t, c_void_p, c_void_p),
    "ggml_backend_buffer_get_base": (c_void_p, c_void_p),
    "ggml_backend_buffer_free": (None, c_void_p),
    "ggml_backend_cpu_buffer_from_ptr": (c_void_p, c_void_p, c_size_t),
    "ggml_backend_tensor_alloc": (c_int, c_void_p, c_void_p, c_void_p),
    "ggml_backend_tensor_set": (None, c_void_p, c_void_p, c_size_t, c_size_t),
    "ggml_backend_reg_dev_get": (c_void_p, c_void_p, c_size_t),
    "ggml_backend_reg_get_proc_address": (c_void_p, c_void_p, ctypes.c_char_p),
    "ggml_backend_dev_supports_op": (c_bool, c_void_p, c_void_p),
    "ggml_backend_graph_compute": (c_int, c_void_p, c_void_p),
    "ggml_backend_cpu_init": (c_void_p,),
    "ggml_backend_cpu_reg": (c_void_p,),
    "ggml_backend_cpu_set_n_threads": (None, c_void_p, c_int),
    "ggml_backend_cpu_set_threadpool": (None, c_void_p, c_void_p),
    "ggml_threadpool_params_init": (None, ctypes.POINTER(_ThreadpoolParams), c_int),
    "ggml_threadpool_new": (c_void_p, ctypes.POINTER(_ThreadpoolParams)),
    "ggml_cpu_has_avx2": (c_int,),
    "ggml_cpu_has_avx512": (c_int,),
}


@lru_cache
def load(package: str) -> GgmlLibrary:
    """The library that the distribution `package` brings along. Raises ImportError if it has none."""
    folders = {name: _locate(package, name) for name in ("libggml-base", "libggml-cpu")}
    ctypes.CDLL(str(folders["libggml-base"]), ctypes.RTLD_GLOBAL)
    library = ctypes.CDLL(str(folders["libggml-cpu"]))  # finds the functions of the other one too
    for name, (result, *arguments) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def _locate(package: str, name: str) -> Path:
    for file in metadata.files(package) or ():
        if file.name in (f"{name}.so", f"{name}.dylib"):
            return Path(str(file.locate()))
    raise ImportError(f"{package} is installed without {name}.so; install it again")


class Weights:
    """A weight `(N, K)` in one of ggml's formats, in the layout that ggml's CPU backend likes best for it.

    `memory` are its bytes. They live as long as this does.
    """

    def __init__(self, library: GgmlLibrary, kind: int, weight: Tensor) -> None:
        self.library, self.shape = library, weight.shape
        rows, columns = weight.shape
        self._context = _context(library)
        weakref.finalize(self, library.ggml_free, self._context)
        for layout in _layouts(library):
            self.tensor = library.ggml_new_tensor_2d(self._context, kind, columns, rows)
            size = library.ggml_backend_buft_get_alloc_size(layout, self.tensor)
            buffer = library.ggml_backend_buft_alloc_buffer(layout, size)
            weakref.finalize(self, library.ggml_backend_buffer_free, buffer)
            base = library.ggml_backend_buffer_get_base(buffer)
            library.ggml_backend_tensor_alloc(buffer, self.tensor, base)
            if self._multiplies():
                break
        self.memory = torch.frombuffer((c_uint8 * size).from_address(base), dtype=torch.uint8)
        plain = torch.empty(library.ggml_nbytes(self.tensor), dtype=torch.uint8, device="cpu")
        library.ggml_quantize_chunk(kind, weight.data_ptr(), plain.data_ptr(), 0, rows, columns, None)
        library.ggml_backend_tensor_set(self.tensor, plain.data_ptr(), 0, plain.numel())

    def _multiplies(self) -> bool:
        """Whether ggml multiplies with the weight where it lies."""
        context = _context(self.library)
        x = self.library.ggml_new_tensor_2d(context, F32, self.shape[1], 1)
        product = self.library.ggml_mul_mat(context, self.tensor, x)
        able: bool = self.library.ggml_backend_dev_supports_op(_device(self.library), product)
        self.library.ggml_free(context)
        return able


class Product:
    """`x @ weight.T` for `tokens` rows: a graph on an input and an output of its own."""

    def __init__(self, weights: Weights, tokens: int) -> None:
        self.weights = weights
        self._library = library = weights.library
        rows, columns = weights.shape
        self.x = torch.zeros(tokens, columns, dtype=torch.float32, device="cpu")
        self.y = torch.empty(tokens, rows, dtype=torch.float32, device="cpu")
        context = _context(library)
        weakref.finalize(self, library.ggml_free, context)
        x = library.ggml_new_tensor_2d(context, F32, columns, tokens)
        y = library.ggml_mul_mat(context, weights.tensor, x)
        for tensor, values in ((x, self.x), (y, self.y)):
            buffer = library.ggml_backend_cpu_buffer_from_ptr(values.data_ptr(), values.nbytes)
            weakref.finalize(self, library.ggml_backend_buffer_free, buffer)
            library.ggml_backend_tensor_alloc(buffer, tensor, values.data_ptr())
        self._graph = library.ggml_new_graph_custom(context, _GRAPH_NODES, False)
        library.ggml_build_forward_expand(self._graph, y)

    def compute(self) -> None:
        """From `x` to `y`, with as many threads as torch has. Raises RuntimeError if ggml reports a failure."""
        status = self._library.ggml_backend_graph_compute(_backend(self._library, torch.get_num_threads()), self._graph)
        if status:
            raise RuntimeError(f"ggml could not compute the product: status {status}")


def _context(library: GgmlLibrary) -> int:
    """Memory for what describes tensors, and none for their values."""
    size = _OVERHEAD_TENSORS * library.ggml_tensor_overhead()
    size += library.ggml_graph_overhead_custom(_GRAPH_NODES, False)
    context: int = library.ggml_init(_ContextParams(size, None, True))
    return context


@lru_cache
def _backend(library: GgmlLibrary, threads: int) -> int:
    """With threads that stay. Kept until the process ends."""
    backend: int = library.ggml_backend_cpu_init()
    library.ggml_backend_cpu_set_n_threads(backend, threads)
    params = _ThreadpoolParams()
    library.ggml_threadpool_params_init(params, threads)
    params.poll = _POLL
    library.ggml_backend_cpu_set_threadpool(backend, library.ggml_threadpool_new(params))
    return backend


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
