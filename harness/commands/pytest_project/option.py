"""The options of `bitbench gate --pytest`, and what they ask for."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any

import click
import msgspec

from harness.commands.options import Asked, Function
from harness.commands.values import Words
from harness.errors import UsageError
from harness.gate.pytest_benchmark.project import Project
from harness.model import Request

HEEDED = ("keyword", "budget", "case_limit", "seed")
"""Fields of a request that mean something here: the tests themselves say all else."""


@dataclass(frozen=True)
class AskedTests:
    """What was typed."""

    paths: tuple[str, ...]
    arguments: str
    python: str

    def project(self, asked: Asked, suites: tuple[str, ...]) -> tuple[Project, Request]:
        """The tests to gate, and how. Raises UsageError for what is no option of such a gate."""
        if suites:
            raise UsageError(f"--pytest gates tests, and {suites[0]} is another word: give paths of tests by --pytest")
        if other := [option for field, option in asked.options.items() if field not in HEEDED]:
            raise UsageError(f"{', '.join(other)}: of suites, and --pytest gates tests; leave it out")
        try:
            arguments = tuple(shlex.split(self.arguments))
        except ValueError as error:
            raise UsageError(f"--pytest-args {self.arguments!r}: {error}; close it") from error
        heeded: Mapping[str, Any] = {name: getattr(asked.request, name) for name in HEEDED if name != "keyword"}
        project = Project(self.paths, asked.request.keyword, arguments, self.python)
        return project, msgspec.structs.replace(Request(suites=()), **heeded)

    def refuse(self) -> None:
        """Raise UsageError for options that say how, where --pytest does not say what."""
        given = [name for name, text in (("--pytest-args", self.arguments), ("--python", self.python)) if text]
        if given:
            raise UsageError(f"{', '.join(given)}: for --pytest PATH; give that too, or leave it out")


def tests_options(command: Function) -> Function:
    """Gives a command the options, and hands them over as one, `tests: AskedTests`."""

    @wraps(command)
    def with_tests(*arguments: object, **values: Any) -> object:
        paths, more, python = (values.pop(name) for name in ("pytest_paths", "pytest_arguments", "python"))
        return command(*arguments, tests=AskedTests(tuple(dict.fromkeys(paths)), more or "", python or ""), **values)

    decorated: Any = with_tests
    for option in (_PYTHON, _ARGUMENTS, _PATHS):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]  # click's options take and return any function


_PATHS = click.option(
    "--pytest",
    "pytest_paths",
    type=Words(),
    multiple=True,
    metavar="PATH",
    help="Instead of suites, the pytest-benchmark tests there, of any project; may be given several times.",
)
_ARGUMENTS = click.option(
    "--pytest-args", "pytest_arguments", type=Words(), metavar="WORDS", help="More arguments of pytest, as one text."
)
_PYTHON = click.option(
    "--python",
    type=Words(),
    metavar="FILE",
    help="Interpreter of these tests, in either checkout or here; default ours.",
)
