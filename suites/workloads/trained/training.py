"""How a network is trained: the same budget, first weights and batches under one seed, whatever the scheme.

Everything that is random follows from the number of the seed and the phase. So the difference of two schemes under one
seed is that of the schemes, and the spread of differences over seeds says how far it holds for others.
"""

import zlib

import torch
from torch import nn

from bitlinear.interface import Implementation
from bitlinear.layer import BitLinear
from bitlinear.scheme import FULL_PRECISION, Scheme
from suites.workloads.trained.networks import FloatLinear
from suites.workloads.trained.tasks import Task

WARM_UP = 0.1
"""The share of the steps over which the learning rate rises, before it falls along a cosine."""


def fresh(task: Task, seed: int, device: str) -> nn.Module:
    """The network of `task` with the first weights of that seed, still in full precision."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(_number("weights", seed))
        return task.network().to(device)


def quantised(network: nn.Module, implementation: Implementation, scheme: Scheme, *, trainable: bool) -> nn.Module:
    """`network` with its linear layers, less those that stay in full precision, built by `implementation`. In place."""
    for name, linear in list(network.named_modules()):
        if isinstance(linear, nn.Linear) and not isinstance(linear, FloatLinear):
            layer = BitLinear.around(linear, scheme)
            built = implementation.build_trainable(layer) if trainable else implementation.build(layer)
            parent, _, child = name.rpartition(".")
            setattr(network.get_submodule(parent), child, built)
    return network


def train(network: nn.Module, task: Task, steps: int, seed: int, phase: str) -> nn.Module:
    """`network` after `steps` steps of AdamW on the batches of that seed and phase, ready to be examined. In place."""
    inputs, answers = task.train
    generator = torch.Generator().manual_seed(_number(phase, seed))
    optimiser = torch.optim.AdamW(network.parameters(), lr=task.learning_rate)
    rate = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, task.learning_rate, total_steps=steps, pct_start=WARM_UP, cycle_momentum=False
    )
    network.train()
    for _ in range(steps):
        batch = torch.randint(len(answers), (task.batch,), generator=generator).to(answers.device)
        optimiser.zero_grad()
        task.loss(network, inputs[batch], answers[batch]).backward()  # type: ignore[no-untyped-call]  # torch's
        optimiser.step()
        rate.step()
    return network.eval()


def full_precision(scheme: Scheme) -> Scheme:
    """`scheme` with nothing quantised: what it is compared with, and what a checkpoint was trained in."""
    return Scheme(FULL_PRECISION, FULL_PRECISION, scheme.groups, scheme.norm)


def _number(what: str, seed: int) -> int:
    """A seed of its own for each use, so that batches do not repeat the numbers of the weights."""
    return zlib.crc32(f"{what}/{seed}".encode())
