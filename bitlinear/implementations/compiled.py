"""`compiled`: the graph that `torch.compile` makes fast code of, and the layer itself for training."""

import copy
import inspect
import logging
import os
import shutil
import sys
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any, cast
from weakref import WeakValueDictionary

import torch
from torch import Tensor, nn

from bitlinear.engines.codes import CodedLinear
from bitlinear.implementations.coded import CodedImplementation
from bitlinear.implementations.int8 import Int8Linear
from bitlinear.layer import BitLinear
from bitlinear.layouts.words import FORMATS
from bitlinear.observers import is_compilable
from bitlinear.scheme import Scheme

LOG = logging.getLogger("bitlinear")
_CACHE_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"
_SHAPES = 64
"""Input shapes that one op may be compiled for; torch's own limit is 8."""
_FEW_ROWS = 4
"""Up to so many tokens, to multiply packed codes is faster than to unpack them for `torch._int_mm`."""
_OPTIONS = {"cpp.min_chunk_size": 8192}
"""What a token's quantisation has to do is too little for two threads to meet over: Inductor's own limit is 512."""


class Compiled(CodedImplementation):
    """One graph for every input shape (`fullgraph=True`, `dynamic=False`), compiled in the first call.

    Codes of up to 4 bits lie in words of which Inductor's own code multiplies two at once, for few tokens, and which
    it unpacks for `torch._int_mm`, for many. Wider codes are int8, and float32 for activations of more than 8 bits.
    results/compiled.md says what else was tried.

    Ops of one kind, scheme and shape share their compiled code: it is compiled in the first call of the first of them.
    Those of other shapes are independent of them: their code does not count towards the limit of these.
    """

    name = "compiled"
    summary = "torch.compile of one graph, codes packed up to 4 bits; compiles in its first call"
    trainable = True

    def why_not(self, *, scheme: Scheme, device: str, dtype: torch.dtype, training: bool = False) -> str | None:
        """Also says that there is no compiler."""
        if device not in ("cpu", "cuda"):
            return f"compiled runs on cpu and cuda, not on {device}"
        if "isolate_recompiles" not in inspect.signature(torch.compile).parameters:
            return f"torch {torch.__version__} cannot keep compiled ops apart; install torch 2.13 or newer"
        reason = super().why_not(scheme=scheme, device=device, dtype=dtype, training=training)
        return reason or (_why_no_compiler() if device == "cpu" else None)

    def build(self, layer: BitLinear) -> nn.Module:
        """An op to be compiled when it is first called. Its `note` says so when `torch._int_mm` cannot be used."""
        return _compiled(_op(layer), layer.weight.device)

    def build_trainable(self, layer: BitLinear) -> nn.Module:
        """A copy of the layer, to be compiled when it is first called."""
        return _compiled(copy.deepcopy(layer), layer.weight.device)


class WordLinear(Int8Linear):
    """Int8Linear that stores its codes in words: `codes` is `(G, N, W)`, int32.

    Raises ValueError for weights of more bits than the formats have.
    """

    def __init__(self, layer: BitLinear) -> None:
        super().__init__(layer)
        if layer.scheme.weight_bits not in FORMATS:
            raise ValueError(f"WordLinear stores {', '.join(map(str, FORMATS))} bits, and this is {layer.scheme}")
        self.format = FORMATS[layer.scheme.weight_bits]
        self.columns = self.codes.shape[2]
        self.codes = self.format.pack(self.codes)

    def accumulate(self, a: Tensor, w: Tensor) -> Tensor:
        """The exact inner sums `(M, N)` of activation codes `(M, Kg)` and words of weight codes `(N, W)`."""
        # A single output is handed to `_int_mm` with a stride of 0, and comes back wrong. In an exported graph the
        # number of tokens is open, and must not be asked for.
        if w.shape[0] == 1 or (not torch.compiler.is_exporting() and a.shape[0] <= _FEW_ROWS):
            return self.format.product(a, w)
        return super().accumulate(a, self.format.unpack(w, self.columns))

    def stored_codes(self) -> Tensor:
        """The codes `(G, N, Kg)`, int8, unpacked."""
        return self.format.unpack(self.codes, self.columns)


def _op(layer: BitLinear) -> nn.Module:
    if layer.scheme.activation_bits > 8:
        return CodedLinear(layer, torch.float32)
    return WordLinear(layer) if layer.scheme.weight_bits in FORMATS else Int8Linear(layer)


def _compiled(op: nn.Module, device: torch.device) -> nn.Module:
    _warm_toolchain(device.type)
    likeness = _likeness(op)
    call = _CALLS.get(likeness)
    if call is None:
        call = _CALLS[likeness] = _Call(type(op))
    op._compiled_call_impl = _Bounded(op, call)  # torch's own place for what a call runs
    return op


def _likeness(op: nn.Module) -> Hashable:
    """What ops have in common that run the same code."""
    tensors = (*op.named_parameters(), *op.named_buffers())
    shapes = tuple((name, tensor.shape, tensor.dtype, tensor.device, tensor.requires_grad) for name, tensor in tensors)
    return type(op), str(getattr(op, "scheme", "")), shapes


class _Call:
    """The compiled call of all ops that are alike: a model's layers of one shape are compiled once."""

    def __init__(self, kind: type[nn.Module]) -> None:
        self.is_full = False
        """Whether it has been told that there is no room for further input shapes."""
        self.run: Callable[..., Tensor] = torch.compile(  # type: ignore[call-overload]  # its types lack both of the later options
            kind._call_impl,
            fullgraph=True,
            dynamic=False,
            isolate_recompiles=True,
            recompile_limit=_SHAPES,
            options=_OPTIONS,
        )


_CALLS: WeakValueDictionary[Hashable, _Call] = WeakValueDictionary()
"""By likeness, for as long as there is such an op."""


class _Bounded:
    """A compiled call that computes without compiling where it has to.

    That is once there are graphs for as many input shapes as fit, and for tensors that compiled code cannot take: those
    of torch.func, of tracers and modes, nested and meta ones.
    """

    def __init__(self, op: nn.Module, call: _Call) -> None:
        from torch._dynamo import exc  # takes a second, and whoever compiles imports it anyway

        self._no_room, self._refused = exc.FailOnRecompileLimitHit, exc.Unsupported
        self._op = op
        self._call = call
        self._compiled = partial(call.run, op)

    def __call__(self, *args: Tensor, **kwargs: Tensor) -> Tensor:
        if not torch.compiler.is_compiling() and not all(map(is_compilable, (*args, *kwargs.values()))):
            return self._uncompiled(*args, **kwargs)
        try:
            return self._compiled(*args, **kwargs)
        except self._no_room:  # before anything was computed
            if not self._call.is_full:
                LOG.warning(
                    "compiled: compiled for %d input shapes, no more are; others run uncompiled, which is slower",
                    _SHAPES,
                )
            self._call.is_full = True
            return self._uncompiled(*args, **kwargs)
        except self._refused as error:
            y = self._uncompiled(*args, **kwargs)  # an input that does not fit is an error in plain words here
            LOG.warning("compiled: runs uncompiled, because %s", str(error).partition("\n")[0])
            return y

    def _uncompiled(self, *args: Tensor, **kwargs: Tensor) -> Tensor:
        op: Any = self._op
        return cast(Tensor, op._call_impl(*args, **kwargs))


def _why_no_compiler() -> str | None:
    # Inductor's own search would import Inductor, for more than a second; it looks for the same names.
    compiler = os.environ.get("CXX") or {"darwin": "clang++", "win32": "cl"}.get(sys.platform, "g++")
    if shutil.which(compiler) is None:
        return f"torch.compile finds no C++ compiler {compiler!r}; install it, or set CXX to another"
    return None


@cache
def _warm_toolchain(device: str) -> None:
    """Compile something trivial, once a process, into a cache that is kept.

    Inductor first asks the compiler what it and the processor can do, which takes many seconds when the cache
    directory is empty, and remembers the answers for the rest of the process. Whoever wants to see what compiling this
    layer costs gives the process an empty cache directory, and would find those seconds in the first op's first call.
    """
    with _kept_cache(), torch.inference_mode():
        torch.compile(lambda x: torch.relu(x) + 1)(torch.zeros(64, device=device))


@contextmanager
def _kept_cache() -> Iterator[None]:
    """Points Inductor at a directory of the user that outlives the process."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    kept = home / "bitlinear-bench" / "inductor"
    try:
        kept.mkdir(parents=True, exist_ok=True)
    except OSError:  # a home that cannot be written to: the process's own directory has to do
        yield
        return
    before = os.environ.get(_CACHE_VARIABLE)
    os.environ[_CACHE_VARIABLE] = str(kept)
    try:
        yield
    finally:
        if before is None:
            del os.environ[_CACHE_VARIABLE]
        else:
            os.environ[_CACHE_VARIABLE] = before
