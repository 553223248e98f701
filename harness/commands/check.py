"""`bitbench check`: one implementation, property by property."""

from collections.abc import Iterable, Sequence

import click
import msgspec

from harness.commands import options
from harness.commands.values import Words
from harness.errors import NothingMeasuredError, UsageError
from harness.model import Record, Request, Value
from harness.model.suite import Registry
from harness.model.units import parse_duration
from harness.runner.progress import watcher
from harness.runner.session import opened
from harness.show.table import Block, Column, Table, pretty_json, render

MODULE = "suites.special.conformance"
"""The package of suites that declares the properties; each case is one property of one implementation."""
INFORMATION = "information"
WORDS = {"measured": "pass", "failed": "FAIL", "crashed": "CRASH", "timed_out": "TIMEOUT", "skipped": "skipped"}


class PropertyVerdict(msgspec.Struct, frozen=True):
    """What came of one property."""

    name: str
    sentence: str
    """What an implementation that has it does."""
    outcome: str
    examples: int
    """On how many it holds."""
    found: str
    """Why it fails, and the smallest example on which it does; or why it was not asked, or not to the end."""
    required: bool
    trace: tuple[str, ...] = ()
    """Where it raised, if that is how it fails."""

    @classmethod
    def of(cls, record: Record) -> "PropertyVerdict":
        """The verdict that a record of the suite stands for."""
        return cls(
            name=str(record.case.params["property"]),
            sentence=str(record.facts["sentence"]),
            outcome=record.outcome,
            examples=int(next(iter(record.values("examples")), 0)),
            found="; ".join(filter(None, (record.reason, *record.warnings))),
            required=not record.facts["informative"],
            trace=record.trace,
        )

    @property
    def word(self) -> str:
        """In the table."""
        return WORDS[self.outcome] if self.required else f"{WORDS[self.outcome].lower()} ({INFORMATION})"


@click.command("check", cls=options.Command)
@click.argument("implementation")
@click.option("--scheme", type=Words(), default="all", show_default=True, help="Only this scheme, as in w1.58a8.")
@options.device
@click.option(
    "--dtype",
    type=Words(),
    default="float32",
    show_default=True,
    help="Of the input, but for the property `dtypes`.",
)
@click.option(
    "--case-limit", type=Words(), default="60s", metavar="TIME", help="End a property that does not answer for so long."
)
@click.option("--format", "form", type=click.Choice(("text", "json")), default="text", show_default=True)
@click.option(
    "--property", "properties", type=Words(), multiple=True, metavar="NAME", help="Only this one; may be repeated."
)
def command(
    implementation: str, scheme: str, device: str, dtype: str, case_limit: str, form: str, properties: tuple[str, ...]
) -> int:
    """Ask IMPLEMENTATION, your own as package.module:object or one of `bitbench list`, for every property it needs.

    Each property passes, or fails with the smallest example on which it does. Exit codes: 0 all pass, 1 one fails,
    5 nothing could be asked, because it offers none of the schemes here.
    """
    axes: dict[str, tuple[Value, ...]] = {"scheme": (scheme,), "dtype": (dtype,)}
    if properties:
        axes["property"] = properties
    request = Request(
        suites=("conformance",),
        implementations=(implementation,),
        axes=axes,
        device=device,
        case_limit=parse_duration(case_limit),
    )
    verdicts = [PropertyVerdict.of(record) for record in _records(request)]
    code = exit_code(verdicts)
    if form == "json":
        content = {"implementation": implementation, "exit_code": code, "properties": msgspec.to_builtins(verdicts)}
        click.echo(pretty_json(content))
    else:
        click.echo(render(_page(implementation, verdicts), "text"))
    if code == NothingMeasuredError.exit_code:
        raise NothingMeasuredError(f"nothing could be asked of {implementation}: {verdicts[0].found}")
    return code


def exit_code(verdicts: Iterable[PropertyVerdict]) -> int:
    """1 when a required property fails, 5 when none could be asked, else 0."""
    outcomes = {one.outcome for one in verdicts if one.required}
    if outcomes - {"measured", "skipped"}:
        return 1
    return 0 if "measured" in outcomes else NothingMeasuredError.exit_code


def _records(request: Request) -> list[Record]:
    """Through the same controller and workers as any run: what crashes or hangs costs one property."""
    if "," in request.implementations[0]:
        raise UsageError(f"{request.implementations[0]!r} is more than one implementation; check them one by one")
    with opened(Registry.load(MODULE), request) as session:
        return session.records(watcher())


def _page(implementation: str, verdicts: Sequence[PropertyVerdict]) -> list[Block]:
    """A table of all, then what was found of each, then how many."""
    columns = (Column("property"), Column("verdict"), Column("examples", "right"), Column("what it asks"))
    rows = [(one.name, one.word, one.examples or None, one.sentence) for one in verdicts]
    found = ["\n  ".join([f"{one.name}: {one.found}", *one.trace]) for one in verdicts if one.found]
    return [Table(implementation, columns, rows), *found, _summary(verdicts)]


def _summary(verdicts: Iterable[PropertyVerdict]) -> str:
    required = [one.outcome for one in verdicts if one.required]
    passed, skipped = required.count("measured"), required.count("skipped")
    failed = len(required) - passed - skipped
    return f"{passed} pass, {failed} fail" + (f", {skipped} skipped" if skipped else "")
