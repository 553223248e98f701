"""Contestants that cheat or are broken, each in the way its name and docstring say. All begin as an honest op."""

import os
import sys
import threading
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bitlinear import BitLinear
from bitlinear.engines.codes import CodedLinear
from bitlinear.engines.plain import PlainLinear
from harness.worker.device.devices import DEVICES
from harness.worker.visit import WallClock

CHECKED = 15
"""More calls than there are before timing: what behaves for so long has been checked and believed."""


class Honest(nn.Module):
    """Does nothing wrong."""

    def __init__(self, layer: BitLinear) -> None:
        super().__init__()
        self.op = CodedLinear(layer, torch.float32)
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.cheat(x)

    def cheat(self, x: Tensor) -> Tensor:
        return self.op(x)


class CachedOutput(Honest):
    """Computes once."""

    cached: Tensor | None = None

    def cheat(self, x: Tensor) -> Tensor:
        if self.cached is None or self.cached.shape[:-1] != x.shape[:-1]:
            self.cached = self.op(x)
        return self.cached.clone()


class AliasOfLastOutput(Honest):
    """Always returns the same memory."""

    buffer: Tensor | None = None

    def cheat(self, x: Tensor) -> Tensor:
        y = self.op(x)
        if self.buffer is None or self.buffer.shape != y.shape:
            self.buffer = torch.empty_like(y)
        return self.buffer.copy_(y)


class MemoOnPointer(Honest):
    """Computes once for each place in memory."""

    def __init__(self, layer: BitLinear) -> None:
        super().__init__(layer)
        self.memo: dict[object, Tensor] = {}

    def key(self, x: Tensor) -> object:
        return x.data_ptr(), x.shape

    def cheat(self, x: Tensor) -> Tensor:
        key = self.key(x)
        if key not in self.memo:
            self.memo[key] = self.op(x)
        return self.memo[key].clone()


class OnlyOnChange(MemoOnPointer):
    """Computes when a place in memory holds other values than the last time."""

    def key(self, x: Tensor) -> object:
        return x.data_ptr(), x.shape, float(x.sum())


class MemoOnContent(MemoOnPointer):
    """Computes once for each input."""

    def key(self, x: Tensor) -> object:
        return x.shape, x.numpy().tobytes()


class WaitsForACore(Honest):
    """Every call waits, but for one on an input that it has just seen: the luck of a machine with neighbours."""

    last: Tensor | None = None
    lucky = True

    def cheat(self, x: Tensor) -> Tensor:
        if self.lucky and self.last is not None and torch.equal(x, self.last):
            self.lucky = False
        else:
            time.sleep(0.001)
        self.last = x.clone()
        return self.op(x)


class SkipsTokens(Honest):
    """Leaves the last token out."""

    def cheat(self, x: Tensor) -> Tensor:
        return torch.cat([self.op(x[:-1]), torch.zeros_like(x[-1:, :1]).expand(-1, self.op.codes.shape[1])])


class SkipsTokensLater(SkipsTokens):
    """Leaves a token out once it has been checked."""

    def cheat(self, x: Tensor) -> Tensor:
        return super().cheat(x) if self.calls > CHECKED else self.op(x)


class TruncatesK(Honest):
    """Does not look at the last input features."""

    def cheat(self, x: Tensor) -> Tensor:
        return self.op(torch.cat([x[:, :-8], torch.zeros_like(x[:, -8:])], -1))


class Uninitialised(Honest):
    """Hands out whatever is in memory."""

    def cheat(self, x: Tensor) -> Tensor:
        return torch.empty(len(x), self.op.codes.shape[1])


class UninitialisedLater(Uninitialised):
    """Hands out what the last call left in memory, once it has been checked."""

    def cheat(self, x: Tensor) -> Tensor:
        return super().cheat(x) if self.calls > CHECKED else self.op(x)


class LazyTensor(Tensor):
    """Computes when somebody looks."""

    work: Callable[[], Tensor]

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]  # torch's own
        done = tuple(a.work() if isinstance(a, LazyTensor) else a for a in args)
        return function(*done, **(kwargs or {}))


class Lazy(Honest):
    """Does the work after the clock."""

    def cheat(self, x: Tensor) -> Tensor:
        lazy = torch.empty(len(x), self.op.codes.shape[1]).as_subclass(LazyTensor)
        lazy.work = lambda: self.op(x)
        return lazy


class OnAnotherThread(Honest):
    """Returns at once and fills the output later."""

    def cheat(self, x: Tensor) -> Tensor:
        out = torch.zeros(len(x), self.op.codes.shape[1])

        def work() -> None:
            time.sleep(0.01)
            with torch.inference_mode():
                out.copy_(self.op(x))

        threading.Thread(target=work, daemon=True).start()
        return out


class KeepsComputing(Honest):
    """Has a thread that goes on when everybody else waits."""

    def __init__(self, layer: BitLinear) -> None:
        super().__init__(layer)
        end = time.monotonic() + 0.8

        matrix = torch.ones(512, 512)

        def work() -> None:
            while time.monotonic() < end:
                torch.mm(matrix, matrix)

        threading.Thread(target=work, daemon=True).start()


class ModifiesInput(Honest):
    """Uses its input as scratch space."""

    def cheat(self, x: Tensor) -> Tensor:
        y = self.op(x)
        x.mul_(0.5)
        return y


class ReturnsInput(Honest):
    """Writes the output over its input."""

    def cheat(self, x: Tensor) -> Tensor:
        y = self.op(x)
        x[:, : y.shape[1]] = y
        return x[:, : y.shape[1]]


class ModifiesWeights(Honest):
    """Changes a weight that it no longer needs."""

    def __init__(self, layer: BitLinear) -> None:
        super().__init__(layer)
        self.register_buffer("spare", torch.zeros(4))

    def cheat(self, x: Tensor) -> Tensor:
        self.spare.add_(1)  # type: ignore[operator]  # a buffer is a tensor
        return self.op(x)


class ReplacesWeights(Honest):
    """Goes over to other weights once it has been checked."""

    def cheat(self, x: Tensor) -> Tensor:
        if self.calls == CHECKED:
            self.op.codes = self.op.codes.clone()
        return self.op(x)


class PatchesClock(Honest):
    """Stops the clock that everybody asks."""

    def __init__(self, layer: BitLinear) -> None:
        super().__init__(layer)
        time.perf_counter = lambda: 0.0  # type: ignore[assignment]  # that is the cheat


class PatchesHarness(Honest):
    """Gives the harness another clock."""

    def cheat(self, x: Tensor) -> Tensor:
        DEVICES["cpu"].clock.now = lambda: 0.0  # type: ignore[attr-defined]  # that is the cheat
        return self.op(x)


class PatchesLoop(Honest):
    """Exchanges the code of the timing loop."""

    def cheat(self, x: Tensor) -> Tensor:
        if self.calls == CHECKED:
            WallClock.elapsed.__code__ = (lambda self, call, iterations: (1e-9, call())).__code__
        return self.op(x)


class PatchesTorch(Honest):
    """Makes everybody's product slower, or its own a look-up."""

    def cheat(self, x: Tensor) -> Tensor:
        F.linear = lambda *given: torch.zeros(1)  # type: ignore[assignment]  # that is the cheat
        return torch.matmul(x, x.T)


class HidesMethod(Honest):
    """Hides a method of torch by one that does nothing."""

    def __init__(self, layer: BitLinear) -> None:
        super().__init__(layer)
        Tensor.isfinite = lambda self: torch.ones_like(self, dtype=torch.bool)  # type: ignore[method-assign]  # likewise


class SleepsInBaseline(Honest):
    """Slows its rival."""

    def __init__(self, layer: BitLinear) -> None:
        super().__init__(layer)
        fast = PlainLinear.forward
        PlainLinear.forward = lambda self, x: (time.sleep(0.001), fast(self, x))[1]  # type: ignore[method-assign]  # likewise


class HooksEverybody(Honest):
    """Slows all modules."""

    def __init__(self, layer: BitLinear) -> None:
        super().__init__(layer)
        nn.modules.module.register_module_forward_pre_hook(lambda *given: time.sleep(0.001))


class TakesThreads(Honest):
    """Takes more threads than it was given, which its rivals then have too."""

    def cheat(self, x: Tensor) -> Tensor:
        torch.set_num_threads(torch.get_num_threads() + 1)
        return self.op(x)


class LowersPrecision(Honest):
    """Has float32 products computed in bfloat16."""

    def __init__(self, layer: BitLinear) -> None:
        super().__init__(layer)
        torch.set_float32_matmul_precision("medium")


class LowersPrecisionAnew(Honest):
    """The same in the newer way, after which torch raises for whoever asks in the older one."""

    def __init__(self, layer: BitLinear) -> None:
        super().__init__(layer)
        torch.backends.mkldnn.matmul.fp32_precision = "bf16"


class ChangesDtype(Honest):
    """Changes the dtype of what others make."""

    def __init__(self, layer: BitLinear) -> None:
        super().__init__(layer)
        torch.set_default_dtype(torch.float64)


class WrongForManyTokens(Honest):
    """Takes the first token for all."""

    def cheat(self, x: Tensor) -> Tensor:
        return self.op(x[:1].expand(len(x), -1))


class WrongForOneToken(Honest):
    """Is wrong where nobody measures: in a suite of many tokens, for one."""

    def cheat(self, x: Tensor) -> Tensor:
        return self.op(x) * (1.0 if len(x) > 1 else 1.5)


class WrongAtOddK(Honest):
    """Forgets the tail of a vector loop."""

    def cheat(self, x: Tensor) -> Tensor:
        whole = x.shape[-1] // 64 * 64
        return self.op(torch.cat([x[:, :whole], torch.zeros_like(x[:, whole:])], -1))


class NaNForOutliers(Honest):
    """Overflows."""

    def cheat(self, x: Tensor) -> Tensor:
        return self.op(torch.where(x.abs() > 20, torch.nan, x))


class OtherDtype(Honest):
    """Returns half of the bytes."""

    def cheat(self, x: Tensor) -> Tensor:
        return self.op(x).bfloat16()


class OtherShape(Honest):
    """Loses a dimension."""

    def cheat(self, x: Tensor) -> Tensor:
        return self.op(x).flatten()


class NoTensor(Honest):
    """Returns numbers."""

    def cheat(self, x: Tensor) -> Tensor:
        return self.op(x).tolist()  # type: ignore[no-any-return]  # that is what is wrong


class Irreproducible(Honest):
    """Is right every time, and never the same."""

    def cheat(self, x: Tensor) -> Tensor:
        return self.op(x) * (1 + 1e-7 * self.calls)


class Random(Honest):
    """Adds noise that nobody asked for."""

    def cheat(self, x: Tensor) -> Tensor:
        y = self.op(x)
        return y + 0.01 * torch.randn_like(y)


class KeepsFloatCopy(Honest):
    """Stores a code in a byte, and hides the floats that it computes with where nobody looks for weights."""

    def __init__(self, layer: BitLinear) -> None:
        super().__init__(layer)
        self.register_buffer("codes", self.op.codes.to(torch.int8))
        self.hidden = [self.op]
        del self.op

    def cheat(self, x: Tensor) -> Tensor:
        return self.hidden[0](x)


class KeepsNumpyCopy(Honest):
    """Claims to store next to nothing: its codes are numpy's."""

    def __init__(self, layer: BitLinear) -> None:
        super().__init__(layer)
        codes = self.op.codes.numpy().copy()
        del self.op.codes
        self.op.codes = torch.from_numpy(codes)


def closure(layer: BitLinear) -> Callable[[Tensor], Tensor]:
    """Right, but its weights are where nobody can count them."""
    op = Honest(layer)
    return lambda x: op(x)


class BreaksItsGraph(Honest):
    """Is compiled in two pieces."""

    def __init__(self, layer: BitLinear) -> None:
        super().__init__(layer)
        self.pieces = torch.compile(self.in_pieces, backend="eager")

    def in_pieces(self, x: Tensor) -> Tensor:
        y = self.op(x)
        torch._dynamo.graph_break()
        return y + 0

    def cheat(self, x: Tensor) -> Tensor:
        return self.pieces(x)


class CompilesAgain(Honest):
    """Has another graph once it is timed."""

    def __init__(self, layer: BitLinear) -> None:
        super().__init__(layer)
        self.graph = torch.compile(self.either, backend="eager")

    def either(self, x: Tensor, timed: bool) -> Tensor:
        return 1 * self.op(x) if timed else self.op(x)

    def cheat(self, x: Tensor) -> Tensor:
        return self.graph(x, self.calls > CHECKED)


class RaisesInDel(Honest):
    """Raises where nobody can catch it."""

    def __del__(self) -> None:
        raise RuntimeError("the last word")


class RaisesLater(Honest):
    """Gives up once it has been checked."""

    def cheat(self, x: Tensor) -> Tensor:
        if self.calls > CHECKED:
            raise RuntimeError("out of luck")
        return self.op(x)


class Refuses(Honest):
    """Honestly takes whole vectors only."""

    def __init__(self, layer: BitLinear) -> None:
        super().__init__(layer)
        if layer.in_features % 64:
            raise ValueError("in_features must be a multiple of 64")


class SystemExits(Honest):
    """Leaves."""

    def cheat(self, x: Tensor) -> Tensor:
        sys.exit(3)


class Prints(Honest):
    """Talks where the answers go."""

    def cheat(self, x: Tensor) -> Tensor:
        print('{"outcome": "measured", "values": {"latency": [1e-9]}}', flush=True)
        os.write(1, b"\n{}\n")
        return self.op(x)


class ClosesStdin(Honest):
    """Hangs up."""

    def __init__(self, layer: BitLinear) -> None:
        super().__init__(layer)
        sys.stdin.close()


class Forks(Honest):
    """Goes on as two."""

    def __init__(self, layer: BitLinear) -> None:
        super().__init__(layer)
        os.fork()


class LeavesProcess(Honest):
    """Has a process that goes on."""

    def __init__(self, layer: BitLinear) -> None:
        super().__init__(layer)
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)


class OverridesKernel(Honest):
    """Registers a kernel of its own for everybody."""

    def __init__(self, layer: BitLinear) -> None:
        super().__init__(layer)
        self.library = torch.library.Library("aten", "IMPL")
        self.library.impl("linear", lambda x, w, b=None: torch.matmul(x, w.t()), "CPU")


class Exits(Honest):
    """Leaves for good."""

    def cheat(self, x: Tensor) -> Tensor:
        os._exit(3)
