"""What ggml and its fork share, through ctypes: a graph of one `mul_mat`, built once for each number of tokens.

Declared after ggml.h and ggml-backend.h. No structure is looked into but the one that callers fill in; everything else
is an address.
"""

import ctypes
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes import c_bool, c_int, c_int64, c_size_t, c_void_p
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

GgmlLibrary = Any
"""What ctypes gives: functions by name."""
Signatures = dict[str, tuple[Any, ...]]
"""Of functions: name to result, then arguments."""

F32 = 0
"""`GGML_TYPE_F32`"""
_OVERHEAD_TENSORS, _GRAPH_NODES = 8, 8
_ONE_AT_A_TIME = threading.Lock()
"""For callers in several threads: graphs have one input, and a backend has one work buffer and one set of threads."""


class _ContextParams(ctypes.Structure):
    _fields_ = (("mem_size", c_size_t), ("mem_buffer", c_void_p), ("no_alloc", c_bool))


_FUNCTIONS: Signatures = {
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
    "ggml_backend_buffer_free": (None, c_void_p),
    "ggml_backend_cpu_buffer_from_ptr": (c_void_p, c_void_p, c_size_t),
    "ggml_backend_tensor_alloc": (None, c_void_p, c_void_p, c_void_p),
    "ggml_backend_graph_compute": (c_int, c_void_p, c_void_p),
    "ggml_backend_cpu_init": (c_void_p,),
    "ggml_backend_cpu_set_n_threads": (None, c_void_p, c_int),
    "ggml_cpu_has_avx512": (c_int,),
}


def declare(library: GgmlLibrary, more: Signatures) -> GgmlLibrary:
    """`library`, with the types of what is called here and of `more`."""
    for name, (result, *arguments) in {**_FUNCTIONS, **more}.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


@contextmanager
def describing(library: GgmlLibrary) -> Iterator[tuple[int, Tensor]]:
    """A context for tensors and graphs without values, and the memory in which they stay when it is closed.

    It is closed at once because the fork has room for 64 contexts in a process, and layers are more.
    """
    size = _OVERHEAD_TENSORS * library.ggml_tensor_overhead()
    size += library.ggml_graph_overhead_custom(_GRAPH_NODES, False)
    memory = torch.empty(size, dtype=torch.uint8, device="cpu")
    context: int | None = library.ggml_init(_ContextParams(size, memory.data_ptr(), True))
    if context is None:
        raise RuntimeError("ggml has no room for another context")
    try:
        yield context, memory
    finally:
        library.ggml_free(context)


def place(library: GgmlLibrary, owner: object, tensor: int, values: Tensor) -> None:
    """Has a tensor lie where `values` are; what ggml allocates for that is freed with `owner`, who keeps `values`."""
    buffer = library.ggml_backend_cpu_buffer_from_ptr(values.data_ptr(), values.nbytes)
    weakref.finalize(owner, library.ggml_backend_buffer_free, buffer)
    library.ggml_backend_tensor_alloc(buffer, tensor, values.data_ptr())


@dataclass(eq=False)
class Weights:
    """A weight `(N, K)` in one of ggml's formats, K in whole blocks. `memory` are its bytes."""

    library: GgmlLibrary
    tensor: int
    shape: tuple[int, int]
    memory: Tensor
    description: Tensor
    """Memory of the context in which `tensor` lies."""


class Product:
    """`x @ weight.T` for `tokens` rows: a graph on an input and an output of its own."""

    def __init__(self, weights: Weights, tokens: int) -> None:
        self.weights = weights
        self._library = library = weights.library
        rows, columns = weights.shape
        self.x = torch.zeros(tokens, columns, dtype=torch.float32, device="cpu")
        self.y = torch.empty(tokens, rows, dtype=torch.float32, device="cpu")
        with describing(library) as (context, self._description):
            x = library.ggml_new_tensor_2d(context, F32, columns, tokens)
            y = library.ggml_mul_mat(context, weights.tensor, x)
            place(library, self, x, self.x)
            place(library, self, y, self.y)
            self._graph = library.ggml_new_graph_custom(context, _GRAPH_NODES, False)
            library.ggml_build_forward_expand(self._graph, y)

    def compute(self, backend: int) -> None:
        """From `x` to `y`. Raises RuntimeError if ggml reports a failure."""
        status = self._library.ggml_backend_graph_compute(backend, self._graph)
        if status:
            raise RuntimeError(f"ggml could not compute the product: status {status}")


def caller(
    weights: Weights,
    backend: Callable[[GgmlLibrary, int], int],
    in_features: int,
    out_features: int,
    bias: Tensor | None,
) -> Callable[[Tensor], Tensor]:
    """The call of an op, with as many threads as torch has: what `weights` has more than the features is padding.

    `backend` gives that of a library for a number of threads.
    """
    products = [Product(weights, 1)]  # the last one that was called for

    def call(x: Tensor) -> Tensor:
        if not len(x):
            return x.new_empty(0, out_features)
        with _ONE_AT_A_TIME:
            if len(products[0].x) != len(x):
                products[0] = Product(weights, len(x))
            product = products[0]
            product.x[:, :in_features] = x.detach()
            product.compute(backend(weights.library, torch.get_num_threads()))
            y = product.y[:, :out_features]
            return y.clone() if bias is None else y + bias

    return call
