"""`bitbench`: the command line. Commands are imported when they are called, so that `--help` costs almost nothing."""

import importlib
import io
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import click

from harness.errors import INTERNAL_ERROR, BitbenchError
from harness.model.units import choices

COMMANDS = {
    "list": "Suites with their axes, and implementations with one line each.",
    "run": "Measure suites and keep the records.",
    "fleet": "Measure suites on many machines, and keep the records in one place.",
    "show": "Print the result table of a run.",
    "compare": "Compare two stored runs row by row.",
    "gate": "Judge a run against a baseline; the exit code is the verdict.",
    "explain": "Tell in words why the verdict on a case is what it is.",
    "baseline": "Accept a run as the baseline that changes are gated against.",
    "report": "Write one self-contained HTML file from runs.",
    "plot": "Draw one figure of runs as an SVG, PNG or PDF file.",
    "history": "Keep months of runs, and tell when a case became slower or faster.",
    "import": "Make a run of files that another benchmark tool wrote.",
    "export": "Write a run in the format of another benchmark tool.",
    "model": "List the linear products of a whole model: bytes by scheme, share of the work.",
    "check": "Ask one implementation for every property that it must have.",
    "env": "Print what machine and software this is, or what makes it noisy.",
    "selftest": "Prove on this machine that what the harness reports is so.",
}
MODULES = {"import": "exchange.importing", "export": "exchange.exporting"}
"""Where a command lies in `harness.commands` that is not in the module of its name."""
INTERRUPTED = 130
"""What a shell reports for a command ended by Ctrl-C."""


class LazyGroup(click.Group):
    """A group whose commands live in modules of their own: `harness.commands.NAME`, or as `MODULES` says."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which a new user needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        if cmd_name not in COMMANDS:
            return None
        module = MODULES.get(cmd_name, cmd_name)
        command: click.Command = importlib.import_module(f"harness.commands.{module}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As usual, but an unknown command is answered with those that exist."""
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            raise click.UsageError(f"unknown command {args[0]!r}; {choices(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(package_name="bitlinear-bench", prog_name="bitbench")
@click.pass_context
def bitbench(ctx: click.Context, debug: bool) -> None:
    """Which BitLinear to use on this machine, what it costs in error and memory, and whether a change made it slower.

    Exit codes: 0 ok, 1 regressed or wrong, 2 usage or incomparable, 3 inconclusive, 4 environment invalid,
    5 nothing measured or compared.
    """
    ctx.obj = debug
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a console without the sign for plus-minus shows a question mark


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code. Every foreseen error is one line on stderr."""
    return ended(bitbench, "bitbench", sys.argv[1:] if arguments is None else arguments)


def ended(program: click.Command, name: str, arguments: Sequence[str]) -> int:
    """The exit code of a program of that name. Every foreseen error is one line on stderr."""
    given = list(arguments)
    debug = "--debug" in given
    fail = partial(_fail, name, debug)
    try:
        with _terminated_as_by_ctrl_c():
            code = program.main(given, prog_name=name, standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as help_wanted:
        click.echo(help_wanted.format_message())
        return 2
    except click.ClickException as error:
        return fail(" ".join(error.format_message().split()), error.exit_code)
    except BitbenchError as error:
        return fail(str(error), error.exit_code)
    except (KeyboardInterrupt, click.Abort) as stop:  # click wraps the one in the other
        for note in getattr(stop.__cause__ or stop, "__notes__", ()):
            click.echo(note, err=True)
        return INTERRUPTED
    except BrokenPipeError:
        _close_stdout()  # the reader of our output has gone, as in `bitbench show RUN | head`
        return 0
    except OSError as error:
        _close_stdout()
        return fail(f"cannot write the output: {error.strerror}; send it elsewhere", 2)
    except Exception as error:  # noqa: BLE001 - Python's own exit code 1 would say "regressed"
        return fail(f"internal error, please report it with --debug: {error!r}", INTERNAL_ERROR)
    return code if isinstance(code, int) else 0


@contextmanager
def _terminated_as_by_ctrl_c() -> Iterator[None]:
    """SIGTERM, by which schedulers of clusters end what has had its time, ends a command as Ctrl-C does.

    Nothing changes where somebody else handles it, or where signals are not this thread's.
    """
    is_ours = threading.current_thread() is threading.main_thread() and (
        signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    )
    if not is_ours:
        yield
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _close_stdout() -> None:
    """Whatever is still buffered goes nowhere, so that the interpreter does not fail on it once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(name: str, debug: bool, message: str, code: int) -> int:
    if debug:
        traceback.print_exc()
    click.echo(f"{name}: {message}", err=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
