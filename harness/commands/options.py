"""Options that several commands share, how they make one typed request, and how they are told from those not given."""

import gc
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, wraps
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec
from click.core import ParameterSource

from harness.commands.values import Place, Threads, Whole, Words
from harness.errors import UsageError
from harness.judge.rules import read
from harness.model import Request, Value, normalise_value
from harness.model.metrics.kinds import Metric
from harness.model.metrics.table import METRICS
from harness.model.rules import Rules
from harness.model.units import LONGEST_VALUE, choices, parse_duration, parse_names, parse_share
from harness.show.table import FORMATS

Function = TypeVar("Function", bound=Callable[..., Any])

PLACES = ("--out", "--rules")
WAYS_ON = ("--resume", "--go-on", "--die-with-parent")
MOST_THREADS = 10**9
"""Suites say how many they allow here."""
MOST_ROUNDS = 10_000
"""Each takes a fresh process, and so a second at least."""
LARGEST_SEED = 2**63 - 1


class Command(click.Command):
    """A command that refuses an option given twice, unless several values of it count: click would keep the last."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does. Raises click.UsageError."""
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        for parameter, times in Counter(order).items():
            if isinstance(parameter, click.Option) and times > 1 and not (parameter.multiple or parameter.is_flag):
                raise click.UsageError(f"{parameter.opts[0]} is given {times} times; give it once", ctx)
        return super().parse_args(ctx, args)


class ReadingCommand(Command):
    """A command that reads stored runs, and goes without the search for cycles of garbage while it does.

    Records make millions of objects and hardly a cycle; the search would go through all of them again and again.
    """

    def invoke(self, ctx: click.Context) -> Any:
        """As click does."""
        was_on = gc.isenabled()
        gc.disable()
        try:
            return super().invoke(ctx)
        finally:
            gc.freeze()  # else all of them are gone through when it is on again, and once more at the end
            if was_on:
                gc.enable()


class Group(click.Group):
    """A group that answers an unknown command with those that exist."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does. Raises click.UsageError."""
        names = self.list_commands(ctx)
        if args and not args[0].startswith("-") and args[0] not in names:
            raise click.UsageError(f"unknown command {args[0]!r}; {choices(args[0], names)}")
        return super().resolve_command(ctx, args)


def given(ctx: click.Context) -> list[click.Option]:
    """The options that were given on the command line, and not left to their defaults."""
    options = [parameter for parameter in ctx.command.params if isinstance(parameter, click.Option)]
    return [one for one in options if ctx.get_parameter_source(one.name or "") is ParameterSource.COMMANDLINE]


class Field(click.Option):
    """An option that sets a field of a request: `read` makes its value of what was typed.

    Where nothing was typed it is `otherwise`, or what `read` makes of None.
    """

    def __init__(
        self, words: Sequence[str], read: Callable[[Any], object], otherwise: object = None, **settings: Any
    ) -> None:
        super().__init__(words, **settings)
        self._read, self._otherwise = read, otherwise

    def value(self, typed: object) -> object:
        """The field's value. Raises UsageError as `read`."""
        return self._read(typed) if self._otherwise is None or typed is not None else self._otherwise


class Asked:
    """What the command line asks for."""

    def __init__(self, typed: Mapping[str, object], context: click.Context) -> None:
        """`typed` are the fields of a request as click has them."""
        self._typed, self._context = typed, context

    @cached_property
    def request(self) -> Request:
        """All of it, of no suites unless the command has an argument `suites`. Raises UsageError for what is no value.

        It is read when it is asked for, so that a gate can tell CI what was wrong with it.
        """
        fields = {one.name: one for one in self._context.command.params if isinstance(one, Field)}
        values = {name: fields[name].value(it) if name in fields else it for name, it in self._typed.items()}
        return msgspec.convert({"suites": (), **values}, Request)

    @property
    def options(self) -> dict[str, str]:
        """Those that were given, by the field that they set: `--impl` by `implementations`."""
        return {str(one.name): one.opts[0] for one in given(self._context) if one.name in self._typed}


def request_options(*options: Callable[[Function], Function]) -> Callable[[Function], Function]:
    """Gives a command these options, and hands all that are fields of a request over as one, `asked: Asked`."""

    def decorate(command: Function) -> Function:
        @wraps(command)
        def with_request(*arguments: object, **values: object) -> object:
            typed = {name: values.pop(name) for name in Request.__struct_fields__ if name in values}
            return command(*arguments, asked=Asked(typed, click.get_current_context()), **values)

        decorated: Any = with_request
        for option in reversed(options):
            decorated = option(decorated)
        return decorated  # type: ignore[no-any-return]  # click's options take and return any function

    return decorate


suites = click.argument(
    "suites", nargs=-1, metavar="SUITE...", callback=lambda _context, _argument, names: tuple(dict.fromkeys(names))
)
package = click.option(
    "--suites",
    "package",
    type=Words(),
    default=None,
    cls=Field,
    read=str,
    otherwise="",
    metavar="MODULE",
    help="The package of suites, as in mypkg.suites; by default bitbench's own, or that of an installed package.",
)
implementations = click.option(
    "--impl",
    "implementations",
    type=Words(),
    multiple=True,
    cls=Field,
    read=lambda texts: parse_names("--impl", texts),
    metavar="A,B",
    help="Only these implementations, or package.module:object; may be given several times.",
)
axes = click.option(
    "--axis",
    "axes",
    type=Words(),
    multiple=True,
    cls=Field,
    read=lambda texts: parse_axes(texts),
    metavar="NAME=V,V",
    help="Replace an axis; may be given several times, and all values of an axis count.",
)


def keyword_option(says: str) -> Callable[[Any], Any]:
    """`-k EXPR`."""
    return click.option(
        "-k", "keyword", type=Words(), default=None, cls=Field, read=str, otherwise="", metavar="EXPR", help=says
    )


keyword = keyword_option("Only cases with such names, which `bitbench run SUITE --dry-run` lists: 'm=1/ and not fp16'.")
device = click.option(
    "--device", type=Words(), default="auto", show_default=True, metavar="NAME", help="auto, cpu, cuda or mps."
)
threads = click.option(
    "--threads",
    type=Threads(1, MOST_THREADS),
    default=None,
    cls=Field,
    read=int,
    otherwise=0,
    metavar="N",
    help="Threads that compute; default `all` cores.",
)
case_limit = click.option(
    "--case-limit",
    type=Words(),
    default="120s",
    cls=Field,
    read=parse_duration,
    show_default=True,
    metavar="TIME",
    help="End a contestant that does not answer for so long.",
)
seed = click.option(
    "--seed",
    type=Whole(0, LARGEST_SEED),
    default=0,
    show_default=True,
    metavar="N",
    help="Of weights, inputs and order.",
)
table_format = click.option(
    "--format", "form", type=click.Choice(FORMATS), default="text", show_default=True, help="How to print."
)


def _metrics(**settings: Any) -> Callable[[Function], Function]:
    return click.option(
        "--metric",
        "metrics",
        type=Words(),
        multiple=True,
        metavar="NAME",
        help="Only this metric, or all `exact`, `sampled`, `paired` or `portable` ones; may be given several times.",
        **settings,
    )


metrics = _metrics()
"""As they were typed."""
requested_metrics = _metrics(cls=Field, read=tuple)
"""As they were typed: the suites say which metrics there are."""
rules_file = click.option(
    "--rules",
    type=Place(),
    default=None,
    metavar="FILE",
    help="Margins, tolerances and their reasons; default gate.toml, if it is here.",
)
margin = click.option(
    "--margin",
    type=Words(),
    default=None,
    metavar="P",
    help="Slowdown of a case that is tolerated, as in 5%; default 3%, or what the rules say.",
)


def rules_of(path: Path | None, margin: str | None, known: Mapping[str, Metric] = METRICS) -> Rules:
    """The rules of a file for the metrics `known`, with the margin of the command line if there is one.

    Raises UsageError as `rules.read`, and for what is no share.
    """
    rules = read(path, known)
    if margin is None:
        return rules
    try:
        return msgspec.structs.replace(rules, margin=parse_share(margin))
    except UsageError as error:
        raise UsageError(f"--margin {error}") from error


def as_recorded(arguments: Sequence[str]) -> tuple[str, ...]:
    """The command less where it writes and how it goes on: none of that matters to what is measured."""
    return ("bitbench", *without(arguments, PLACES, WAYS_ON))


def without(arguments: Iterable[str], valued: Collection[str], flags: Collection[str]) -> Iterator[str]:
    """The words of a command less some options, those with a value and those without."""
    words = iter(arguments)
    for word in words:
        if word in valued:
            next(words, None)
        elif word not in flags and not word.startswith(tuple(f"{name}=" for name in valued)):
            yield word


def parse_axes(texts: Iterable[str]) -> dict[str, tuple[Value, ...]]:
    """Axis values by name, from "m=1,128"; an axis that is given several times has all those values, each once.

    Raises UsageError when a text is not of that form.
    """
    axes: dict[str, tuple[Value, ...]] = {}
    for text in texts:
        name, _, values = text.partition("=")
        written = [value.strip() for value in values.split(",")]
        if not name.strip() or not all(written):
            raise UsageError(f"--axis {text[:100]!r} is not of the form name=value,value, as in m=1,128")
        if len(longest := max(written, key=len)) > LONGEST_VALUE:
            raise UsageError(
                f"--axis {name.strip()[:100]}: no value has {len(longest)} characters; it begins {longest[:20]!r}"
            )
        given = (*axes.get(name.strip(), ()), *map(normalise_value, written))
        axes[name.strip()] = tuple(dict.fromkeys(given))
    return axes
