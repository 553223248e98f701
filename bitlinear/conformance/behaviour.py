"""Properties of the op as an object: what it owns, what it leaves alone, where it may be called.

A property asks one example after the other and yields why it fails, or nothing where it holds.
"""

import copy
import io
import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from bitlinear.conformance import SCHEMES
from bitlinear.conformance.output import shared
from bitlinear.conformance.subject import DTYPES, Subject, in_words
from bitlinear.scheme import FULL_PRECISION, Scheme

CALLERS, CALLS = 4, 8
"""Threads that call one op at once, and how often each does."""


def why_not(subject: Subject) -> Iterator[str]:
    """Of every scheme, the unquantised ones too, device and dtype."""
    unquantised = (Scheme(FULL_PRECISION, bits) for bits in (8, FULL_PRECISION))
    for scheme, device, dtype, training in itertools.product(
        (*SCHEMES, *unquantised), ("cpu", "cuda", "mps"), DTYPES, (False, True)
    ):
        where = f"scheme={scheme} device={device} dtype={dtype} training={training}"
        try:
            said = subject.implementation.why_not(scheme=scheme, device=device, dtype=dtype, training=training)
        except Exception as error:  # noqa: BLE001 - that it raises anything is the fault
            yield f"raised {in_words(error)}; asked about {where}"
            continue
        is_sentence = said is None or (isinstance(said, str) and bool(said.strip()))
        yield "" if is_sentence else f"said {said!r}, neither a sentence nor None; asked about {where}"


def input(subject: Subject) -> Iterator[str]:  # noqa: A001 - named as the property that it asks for
    """Bit for bit."""
    for example, _, op in subject.samples():
        x = example.input(subject.device)
        before = x.clone()
        op(x)
        yield "" if torch.equal(x, before) else "changed its input"


def weights(subject: Subject) -> Iterator[str]:
    """What a first call prepares is its own business."""
    for example, _, op in subject.samples():
        x = example.input(subject.device)
        op(x)
        before = {name: tensor.detach().clone() for name, tensor in op.state_dict().items()}
        op(x)
        after = op.state_dict()
        changed = before.keys() ^ after.keys() or [n for n in before if not torch.equal(before[n], after[n])]
        yield f"changed {', '.join(sorted(changed))} in its second call" if changed else ""


def memory(subject: Subject) -> Iterator[str]:
    """Nor with the op's own tensors."""
    for example, _, op in subject.samples():
        x = example.input(subject.device)
        with torch.no_grad():
            first, second = op(x), op(x)
        if wrong := shared(first, (), x) or shared(second, (first,), x):
            yield wrong
            continue
        own = {t.untyped_storage().data_ptr() for t in (*op.parameters(), *op.buffers())}
        yield "returned the memory of its own weights" if first.untyped_storage().data_ptr() in own else ""


def history(subject: Subject) -> Iterator[str]:
    """Other values in the same place, twice."""
    for example, layer, op in subject.samples():
        x = example.input(subject.device)
        op(x)
        for seed in (1, 2):
            x.copy_(example.input(subject.device, seed))
            wrong = subject.fault(layer, x, op(x))
            yield wrong and f"{wrong}; for other values in the same place as those before"


def repeatable(subject: Subject) -> Iterator[str]:
    """Three calls."""
    for example, _, op in subject.samples():
        x = example.input(subject.device)
        first = op(x).clone()
        yield _different(first, op(x)) or _different(first, op(x))


def modes(subject: Subject) -> Iterator[str]:
    """Inference mode last: what it makes must not be in anybody's way before."""
    for example, _, op in subject.samples():
        x = example.input(subject.device)
        context: AbstractContextManager[object]
        outputs = []
        for context in (torch.no_grad(), torch.enable_grad(), torch.inference_mode(), torch.no_grad()):
            with context:
                outputs.append(op(x).detach().clone())
        yield next((wrong for y in outputs[1:] if (wrong := _different(outputs[0], y))), "")


def layer(subject: Subject) -> Iterator[str]:
    """Its parameters are compared with what they were, and then set to zero."""
    for example, given, op in subject.samples():
        x = example.input(subject.device)
        untouched = example.layer(subject.device)
        pairs = zip(given.parameters(), untouched.parameters(), strict=True)
        if not all(torch.equal(one, other) for one, other in pairs):
            yield "changed the layer that it was built from"
            continue
        with torch.no_grad():
            before = op(x).clone()
            for parameter in given.parameters():
                parameter.zero_()
            wrong = _different(before, op(x))
        yield wrong and f"depends on the layer that it was built from: {wrong} once the layer's weights are zero"


def state_dict(subject: Subject) -> Iterator[str]:
    """Saved, and loaded into an op that was built from other weights."""
    for example, _, op in subject.samples():
        x = example.input(subject.device)
        file = io.BytesIO()
        torch.save(op.state_dict(), file)
        file.seek(0)
        other = subject.implementation.build(example.layer(subject.device, seed=1))
        other.load_state_dict(torch.load(file, weights_only=True))
        wrong = _different(op(x), other(x))
        yield wrong and f"{wrong} when its state_dict is loaded into an op of other weights"


def deepcopy(subject: Subject) -> Iterator[str]:
    """The copy may sum in another order, as when it has yet to be compiled; then its tensors are set to zero."""
    for example, given, op in subject.samples():
        x = example.input(subject.device)
        before = op(x).detach().clone()
        copied: nn.Module = copy.deepcopy(op)
        if wrong := subject.fault(given, x, copied(x)):
            yield f"{wrong}; of its copy"
            continue
        with torch.no_grad():
            for tensor in (*copied.parameters(), *copied.buffers()):
                tensor.zero_()
        wrong = _different(before, op(x))
        yield wrong and f"{wrong} once the tensors of its copy are zero"


def wrong_size(subject: Subject) -> Iterator[str]:
    """One feature alone, which must not be broadcast, one too many and one too few."""
    for example, _, op in subject.samples():
        k = example.in_features
        for size in (1, k + 1, k - 1):
            yield _accepted(op, torch.randn(3, size, device=subject.device, dtype=subject.dtype))


def wrong_dtype(subject: Subject) -> Iterator[str]:
    """Whole numbers have no scale."""
    for example, _, op in subject.samples():
        for dtype in (torch.int64, torch.int8, torch.bool):
            yield _accepted(op, torch.ones(3, example.in_features, device=subject.device, dtype=dtype))


def threads(subject: Subject) -> Iterator[str]:
    """Each with an input of its own, and the answer that it got alone."""
    for example, _, op in subject.samples():
        inputs = [example.input(subject.device, seed) for seed in range(CALLERS)]
        with torch.no_grad():
            alone = [op(x).clone() for x in inputs]
        with ThreadPoolExecutor(CALLERS) as pool:
            wrongs = pool.map(_called, [op] * CALLERS, inputs, alone)
            wrong = next(filter(None, wrongs), "")
        yield wrong and f"{wrong} when {CALLERS} threads call it at once"


def compile(subject: Subject) -> Iterator[str]:  # noqa: A001 - named as the property that it asks for
    """Captured, and run without a compiler."""
    for example, given, op in subject.samples():
        x = example.input(subject.device)
        torch._dynamo.reset()
        captured = torch.compile(op, fullgraph=True, backend="eager")
        with torch.no_grad():
            yield subject.fault(given, x, captured(x))


def _called(op: nn.Module, x: Tensor, expected: Tensor) -> str:
    with torch.no_grad():
        return next((wrong for _ in range(CALLS) if (wrong := _different(expected, op(x)))), "")


def _different(expected: Tensor, y: Tensor) -> str:
    if y.shape == expected.shape and torch.equal(y, expected):
        return ""
    if y.shape != expected.shape:
        return f"another shape, {tuple(y.shape)} instead of {tuple(expected.shape)},"
    return f"another output, up to {float((y - expected).abs().max()):.3g} apart,"


def _accepted(op: nn.Module, x: Tensor) -> str:
    """That `op` takes `x`, or refuses it without a word."""
    what = f"{str(x.dtype).removeprefix('torch.')} input of shape {tuple(x.shape)}"
    try:
        op(x)
    except Exception as error:  # noqa: BLE001 - any error that says something is one
        return "" if str(error).strip() else f"refuses {what} with a bare {type(error).__name__}"
    return f"accepts {what}"
