"""What is learnt: data that ships with Python or with a package, the network for it, and how it is examined."""

import math
from abc import ABC, abstractmethod
from functools import cache
from importlib.util import find_spec

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from suites.whole.accuracy import EVERY, pages
from suites.workloads.trained.networks import Classifier, NextByte


class Task(ABC):
    """Something to be learnt by a small network. `train` and `test` are inputs and right answers, on one device."""

    metric: str
    """What the examination measures, by name."""
    learning_rate: float
    """The largest one of AdamW, the same for all schemes."""
    batch: int
    """Examples a step."""
    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]

    @staticmethod
    def why_not() -> str | None:
        """Why its data cannot be had here, and what to do, or None."""
        return None

    @abstractmethod
    def network(self) -> nn.Module:
        """With random weights, on the CPU."""

    def loss(self, network: nn.Module, inputs: Tensor, answers: Tensor) -> Tensor:
        """Mean cross entropy in nats."""
        return F.cross_entropy(network(inputs), answers)

    @abstractmethod
    def examine(self, network: nn.Module) -> float:
        """The metric, on `test`."""


class Digits(Task):
    """scikit-learn's 1,797 handwritten digits of 8 x 8 pixels. Accuracy in per cent of every fifth, kept for it."""

    metric = "trained_accuracy"
    learning_rate = 0.01
    batch = 64

    def __init__(self, device: str) -> None:
        from sklearn.datasets import load_digits  # optional, and slow to import

        pixels, labels = load_digits(return_X_y=True)
        inputs = torch.tensor(pixels / 16, dtype=torch.float32, device=device)
        answers = torch.tensor(labels, dtype=torch.long, device=device)
        kept = torch.arange(len(answers), device=device) % EVERY["digits"] == 0
        self.train, self.test = (inputs[~kept], answers[~kept]), (inputs[kept], answers[kept])

    @staticmethod
    def why_not() -> str | None:
        """It needs scikit-learn."""
        if find_spec("sklearn") is None:
            return "the digits are scikit-learn's: pip install 'bitlinear-bench[accuracy]', or choose --axis task=text"
        return None

    def network(self) -> nn.Module:
        """64 pixels, 128 hidden features, 10 digits."""
        return Classifier(64, 128, 10)

    @torch.no_grad()
    def examine(self, network: nn.Module) -> float:
        """Right answers in per cent."""
        inputs, answers = self.test
        return 100 * float((network(inputs).argmax(-1) == answers).double().mean())


class Text(Task):
    """Python's own help pages, byte by byte. Bits per byte of every tenth page, kept for it."""

    metric = "trained_bits_per_byte"
    learning_rate = 0.01
    batch = 256
    SYMBOLS = 128
    """Bytes of ASCII; the few others are taken for the last one."""
    CONTEXT = 6
    """Bytes by which the next one is guessed."""

    def __init__(self, device: str) -> None:
        read, kept = pages()
        self.train, self.test = self._windows(read, 1, device), self._windows(kept, 2, device)

    def _windows(self, text: bytes, stride: int, device: str) -> tuple[Tensor, Tensor]:
        """Contexts and the bytes that follow, at every `stride`-th place."""
        numbers = torch.frombuffer(bytearray(text), dtype=torch.uint8).clamp_max(self.SYMBOLS - 1).long().to(device)
        windows = numbers.unfold(0, self.CONTEXT + 1, stride)
        return windows[:, :-1], windows[:, -1]

    def network(self) -> nn.Module:
        """6 bytes of 32 features, two hidden layers of 192."""
        return NextByte(self.SYMBOLS, self.CONTEXT, 32, 192)

    @torch.no_grad()
    def examine(self, network: nn.Module) -> float:
        """Mean cross entropy in bits."""
        return float(self.loss(network, *self.test)) / math.log(2)


TASKS: dict[str, type[Digits] | type[Text]] = {"digits": Digits, "text": Text}
"""By the value of the axis `task`."""


@cache
def task(name: str, device: str) -> Task:
    """The task of that name with its data on `device`, read once a process."""
    return TASKS[name](device)
