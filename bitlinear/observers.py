"""Whether anybody but the caller looks at an operation: only if nobody does, it may go past torch's dispatcher."""

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad


def _keys_of_plain_threads() -> frozenset[int]:
    """The dispatch keys that a thread includes by itself, with inference mode and without."""
    found = []
    for inference in (False, True):
        with torch.inference_mode(inference):
            found.append(torch._C._dispatch_tls_local_include_set().raw_repr())
    return frozenset(found)


_THREADS = _keys_of_plain_threads()


def is_unobserved(x: Tensor) -> bool:
    """Whether `x` is an ordinary tensor on the CPU and nothing but its values is asked for.

    A thread in which a mode, a transform of torch.func or a tracer is active includes a dispatch key that says so, be
    it one that torch has yet to bring. What has no key is asked for by itself: gradients, forward mode, function modes
    and profilers. Written for speed: the whole takes about a microsecond, as long as a small product.
    """
    return (
        type(x) is Tensor
        and not torch.compiler.is_compiling()
        and x.is_cpu
        and not (x.is_neg() or x.is_nested or (x.requires_grad and torch.is_grad_enabled()))
        and torch._C._dispatch_tls_local_include_set().raw_repr() in _THREADS
        and forward_ad._current_level < 0
        and not torch._C._len_torch_function_stack()
        and not torch._C._autograd._profiler_enabled()
    )


def is_compilable(x: Tensor) -> bool:
    """Whether compiled code gives the values and the reverse-mode gradients that are asked for, on any real device."""
    return (
        type(x) in (Tensor, nn.Parameter)
        and torch._C._dispatch_tls_local_include_set().raw_repr() in _THREADS
        and not (x.is_neg() or x.is_nested or x.is_meta)
        and forward_ad._current_level < 0
    )
