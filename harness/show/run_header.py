"""The head of a page about a run: what was measured, when, on which machine."""

from harness.model import Environment, Run
from harness.model.environment import machine_name


def describe_run(run: Run) -> str:
    """Which run of which code this is, in one line."""
    revision = run.revision
    code = f"commit {revision.commit[:7]}{' with changes' * revision.dirty}" if revision.commit else "commit unknown"
    return f"run {run.id}, started {run.started}, {code}"


def describe_machine(at: Environment) -> str:
    """The machine in one line, without what is not known of it, and how busy it was."""
    return f"{machine_name(at)}; load {at.load_average:.2f}"
