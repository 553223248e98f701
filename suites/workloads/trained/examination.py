"""One scheme, trained and examined under several seeds."""

import torch
from torch import Tensor, nn

from bitlinear.scheme import Scheme
from harness.model import Case
from harness.model.workload import Check, Prepared, Workload
from harness.worker.kept import once
from suites.catalogue.contestants import find
from suites.workloads.trained.tasks import TASKS, task
from suites.workloads.trained.training import fresh, full_precision, quantised, train


class Trained(Workload):
    """A contestant in the networks of a task. Seeds are numbered from 0 and do not depend on the seed of the run."""

    def __init__(self, case: Case, seed: int) -> None:
        super().__init__(case, seed)
        params = case.params
        self.scheme = Scheme.parse(str(params["scheme"]))
        self.training = str(params["training"])
        self.steps, self.seeds = int(params["steps"]), int(params["seeds"])
        self.task, self.device = str(params["task"]), str(params["device"])
        self.implementation = find(case.implementation)

    def why_not(self) -> str | None:
        """What the task lacks, or what the contestant says of being trained; without training, of this scheme."""
        return TASKS[self.task].why_not() or self.implementation.why_not(
            scheme=self.scheme, device=self.device, dtype=torch.float32, training=self.training != "none"
        )

    def build(self) -> "Examination":
        """Nothing is trained yet."""
        return Examination(self)

    def result(self, seed: int) -> float:
        """Train under that seed as the case says, and examine."""
        chosen, trainable = task(self.task, self.device), self.training != "none"
        network = fresh(chosen, seed, self.device)
        if self.training != "scratch":
            self._load_checkpoint(network, seed)
        network = quantised(network, self.implementation, self.scheme, trainable=trainable)
        if trainable:
            train(network, chosen, self.steps, seed, self.training)
        return chosen.examine(network.eval())

    def _load_checkpoint(self, network: nn.Module, seed: int) -> None:
        """The parameters after as many steps in full precision, trained once a run and seed."""
        full = full_precision(self.scheme)

        def compute() -> list[Tensor]:
            chosen = task(self.task, self.device)
            made = quantised(fresh(chosen, seed, self.device), find("reference"), full, trainable=True)
            return [parameter.detach() for parameter in train(made, chosen, self.steps, seed, "scratch").parameters()]

        name = f"checkpoint of {self.task} {full} {self.steps} {seed} {torch.get_num_threads()}"
        found = once(name, compute, torch.device(self.device))
        with torch.no_grad():
            for parameter, value in zip(network.parameters(), found, strict=True):
                parameter.copy_(value)


class Examination(Prepared):
    """Trains and examines when it is first called, one seed after the other, and remembers what was found."""

    def __init__(self, trained: Trained) -> None:
        self._trained = trained
        self._found: tuple[float, ...] = ()

    def __call__(self) -> tuple[float, ...]:
        """The metric of the task, one value a seed."""
        if not self._found:
            self._found = tuple(self._trained.result(seed) for seed in range(self._trained.seeds))
        return self._found

    def check(self, metrics: frozenset[str]) -> Check:
        """What was found; no result is wrong."""
        return Check({TASKS[self._trained.task].metric: self()})
