"""The compiled library, through ctypes, which lets go of the interpreter's lock during calls."""

import ctypes
import os
from ctypes import POINTER, Structure, c_char_p, c_int32, c_int64, c_void_p
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from bitlinear.engines.native.build import BuildError, library_file
from bitlinear.layouts.tiles import tiles_shape
from bitlinear.scheme import FULL_PRECISION, Scheme, largest_code

PATHS = ("amx", "avx512", "avx2", "neon", "plain")
"""Instruction sets, the best first. All paths return the same bits."""
FORCED = "BITLINEAR_NATIVE_PATH"
"""Environment variable that names the path to take."""
TYPES = {torch.float32: 0, torch.bfloat16: 1, torch.float16: 2, torch.float64: 3}


class NativeLayer(Structure):
    """What stays the same from call to call; `layer` in linear.c."""

    _fields_ = (
        ("in_features", c_int64),
        ("out_features", c_int64),
        ("groups", c_int64),
        ("bits", c_int32),
        ("factor", c_int32),
        ("offset", c_int32),
        ("row_scales", c_int32),
        ("normalise", c_int32),
        ("top", c_int32),
    )
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    """Of `codes` and `scale`."""


class _Team(Structure):
    """Functions of an OpenMP runtime; `team` in linear.c."""

    _fields_ = (("parallel", c_void_p), ("thread", c_void_p), ("threads", c_void_p))


class Library:
    """The compiled functions, bound to one path."""

    def __init__(self, file: Path, path: str) -> None:
        functions = _loaded(file)
        self._forward = functions.bitlinear_forward
        self._forward.argtypes = [
            POINTER(NativeLayer),
            c_void_p,
            POINTER(_Team),
            *6 * [c_void_p],
            c_int64,
            c_int32,
            c_int32,
        ]
        self._forward.restype = c_int64
        self._team = _torch_team()
        self.path = path
        self._path = _address_of(functions, path)

    def forward(
        self, layer: NativeLayer, x: Tensor, codes: Tensor, scale: Tensor, bias: Tensor | None, y: Tensor, tokens: int
    ) -> int:
        """Fill `y` `(tokens, N)` from `x` `(tokens, K)`, both contiguous and of one of TYPES, on torch's threads.

        Returns the bytes that it has allocated to work in.
        """
        added = None if bias is None else bias.data_ptr()
        tensors = (codes.data_ptr(), scale.data_ptr(), added, x.data_ptr(), y.data_ptr())
        how = (tokens, TYPES[x.dtype], torch.get_num_threads())
        wanted: int = self._forward(layer, self._path, self._team, *tensors, None, *how)
        if wanted:
            workspace = torch.empty(wanted, dtype=torch.uint8, device="cpu")
            self._forward(layer, self._path, self._team, *tensors, workspace.data_ptr(), *how)
        return wanted


@cache
def library() -> Library:
    """The library with the best path of this processor, or the one that BITLINEAR_NATIVE_PATH names.

    Raises BuildError where it cannot be compiled or loaded, ValueError where the named path cannot run.
    """
    forced, available = os.environ.get(FORCED, ""), available_paths()
    if forced and forced not in available:
        raise ValueError(f"{FORCED}={forced!r} cannot run on this processor; choose from {', '.join(available)}")
    return Library(library_file(), forced or available[0])


def available_paths() -> tuple[str, ...]:
    """The paths of PATHS that this processor has. Raises BuildError where the library cannot be compiled or loaded."""
    functions = _loaded(library_file())
    return tuple(path for path in PATHS if _address_of(functions, path))


def _loaded(file: Path) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(str(file))
    except OSError as error:
        raise BuildError(
            f"the compiled kernels cannot be loaded: {error}; remove them, or set XDG_CACHE_HOME to a folder from "
            f"which programs may run"
        ) from error


def _address_of(functions: ctypes.CDLL, path: str) -> int | None:
    find = functions.bitlinear_path
    find.argtypes, find.restype = [c_char_p], c_void_p
    address: int | None = find(path.encode())
    return address


def _torch_team() -> _Team:
    """The OpenMP runtime that torch was linked against, found by way of torch's own library; none of it elsewhere."""
    folder = Path(torch.__file__).parent / "lib"
    for file in (folder / "libtorch_cpu.so", folder / "libtorch_cpu.dylib"):
        if file.exists():
            symbols = ctypes.CDLL(str(file))
            names = ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads")
            if all(hasattr(symbols, name) for name in names):
                return _Team(*(ctypes.cast(getattr(symbols, name), c_void_p) for name in names))
    return _Team()


@cache
def layer_of(scheme: Scheme, in_features: int, out_features: int) -> NativeLayer:
    """The C description of a layer. `scheme` is one that `storage_bits` knows."""
    bits, size = storage_bits(scheme), scheme.group_size(in_features)
    by_row = scheme.weight_bits >= 2
    layer = NativeLayer(
        in_features=in_features,
        out_features=out_features,
        groups=scheme.groups,
        bits=bits,
        factor=2 if bits == 1 else 1,
        offset=offset_of(bits),
        row_scales=by_row,
        normalise=scheme.norm,
        top=0 if scheme.activation_bits == FULL_PRECISION else largest_code(scheme.activation_bits),
    )
    scales = (scheme.groups, out_features if by_row else 1)
    layer.shapes = tiles_shape(out_features, scheme.groups, size, bits), scales
    return layer


def require_buffers(layer: NativeLayer, codes: Tensor, scale: Tensor, bias: Tensor | None) -> None:
    """Raises ValueError, with its name, for a buffer that C must not read: it gets addresses and trusts the rest.

    Asked at every call, because anybody may cast, assign or replace a buffer in between.
    """
    codes_shape, scale_shape = layer.shapes
    if not (  # written out: a call for each would take as long again
        codes.dtype == torch.uint8
        and codes.shape == codes_shape
        and codes.is_contiguous()
        and codes.is_cpu
        and scale.dtype == torch.float32
        and scale.shape == scale_shape
        and scale.is_contiguous()
        and scale.is_cpu
        and not scale.is_neg()
        and (bias is None or _is_readable(bias, torch.float32, (layer.out_features,)))
    ):
        _name_unreadable(layer, codes, scale, bias)


def _is_readable(tensor: Tensor, dtype: torch.dtype, shape: tuple[int, ...]) -> bool:
    plain = tensor.dtype == dtype and tensor.shape == shape and tensor.is_cpu
    return plain and tensor.is_contiguous() and not tensor.is_neg()


def _name_unreadable(layer: NativeLayer, codes: Tensor, scale: Tensor, bias: Tensor | None) -> None:
    wanted = {
        "codes": (codes, torch.uint8, layer.shapes[0]),
        "scale": (scale, torch.float32, layer.shapes[1]),
        "bias": (bias, torch.float32, (layer.out_features,)),
    }
    for name, (tensor, dtype, shape) in wanted.items():
        if tensor is not None and not _is_readable(tensor, dtype, shape):
            strided = "" if tensor.is_contiguous() else " strided"
            raise ValueError(
                f"the buffer {name!r} is{strided} {tensor.dtype} {tuple(tensor.shape)} on {tensor.device}; the kernels "
                f"of NativeLinear read contiguous {dtype} {shape} on the CPU: load the state without assign=True, "
                f"or build the layer again with NativeLinear.from_layer"
            )


def storage_bits(scheme: Scheme) -> int:
    """Bits of a stored code: 1, 2, 4 or 8, the least that hold those of the scheme."""
    return next(bits for bits in (1, 2, 4, 8) if scheme.weight_bits <= bits)


def offset_of(bits: int) -> int:
    """A code is `factor * stored - offset`, with the factor 2 for one bit and 1 for more."""
    return {1: 1, 2: 1, 4: 8, 8: 128}[bits]
