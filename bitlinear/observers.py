"""Whether anybody but the caller looks at an operation: only if nobody does, it may go past torch's dispatcher."""

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad


def _keys_of_plain_tensors() -> tuple[frozenset[int], frozenset[int]]:
    """Dispatch keys of an ordinary tensor on the CPU, and of the thread, both with inference mode and without."""
    tensors, threads = [], []
    for inference in (False, True):
        with torch.inference_mode(inference):
            tensors.append(torch._C._dispatch_keys(torch.empty(0, device="cpu")).raw_repr())
            threads.append(torch._C._dispatch_tls_local_include_set().raw_repr())
    return frozenset(tensors), frozenset(threads)


_TENSORS, _THREADS = _keys_of_plain_tensors()


def is_unobserved(x: Tensor) -> bool:
    """Whether `x` is an ordinary tensor on the CPU and nothing but its values is asked for.

    Every tensor that torch would treat in another way has a dispatch key that says so: batched, differentiated by
    torch.func, negated lazily, nested, fake, on another device. So has the thread while a mode, a transform or a tracer
    is active. What has no key is asked for by itself: gradients, forward mode, function modes and profilers.
    """
    return (
        type(x) is Tensor
        and not torch.compiler.is_compiling()
        and torch._C._dispatch_keys(x).raw_repr() in _TENSORS
        and torch._C._dispatch_tls_local_include_set().raw_repr() in _THREADS
        and not (x.requires_grad and torch.is_grad_enabled())
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
