"""Reference pages, made of the code itself: `make reference` writes them, and a test holds them to it."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from harness.cli import INTERRUPTED, bitbench
from harness.errors import INTERNAL_ERROR, BitbenchError
from harness.model.metrics import METRICS, Exact, Metric, Paired, in_kinds
from harness.show.ci.verdict_file import ANSWERS

HERE = Path(__file__).parent / "reference"
MADE = "<!-- made by docs/generate.py; do not edit -->"
UNITS = {"s": "seconds", "B": "bytes", "bit": "bits", "dB": "dB", "1": ""}
EXIT_CODES = re.compile(r"(?:^|(?<=\. ))[^.\n]*[Ee]xit codes?\b.*", re.MULTILINE)


def _commands(group: click.Group, context: click.Context) -> Iterator[click.Context]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        inner = click.Context(command, info_name=f"{context.info_name} {name}")
        yield inner
        if isinstance(command, click.Group):
            yield from _commands(command, inner)


def _help(context: click.Context) -> str:
    return "\n\n".join(" ".join(part.split()) for part in (context.command.help or "").split("\n\n"))


def _table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    cells = [heads, ("---",) * len(heads), *(tuple(cell.replace("|", "\\|") for cell in row) for row in rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def _command(context: click.Context) -> str:
    usage = " ".join((context.info_name or "", *context.command.collect_usage_pieces(context)))
    options = (one for one in context.command.params if isinstance(one, click.Option))
    records = filter(None, (option.get_help_record(context) for option in options))
    rows = [(f"`{names}`", " ".join(told.split())) for names, told in records]
    parts = [f"## {context.info_name}", f"```text\n{usage}\n```", _help(context)]
    return "\n\n".join([*parts, _table(("option", "meaning"), rows)] if rows else parts)


def _tolerance(metric: Exact | Paired) -> str:
    parts = []
    if metric.tolerance:
        parts.append(f"{metric.tolerance:g} {UNITS.get(metric.unit, metric.unit)}".strip())
    if metric.relative_tolerance:
        parts.append(f"{metric.relative_tolerance * 100:g} % of the baseline")
    return " + ".join(parts) or "0"


def _metric(metric: Metric) -> tuple[str, ...]:
    kinds = ", ".join(kind for kind, names in in_kinds(METRICS).items() if metric.name in names)
    judged = _tolerance(metric) if isinstance(metric, Exact | Paired) else "its interval"
    judged = "only shown" if metric.informative else judged
    return f"`{metric.name}`", metric.title, UNITS.get(metric.unit, metric.unit), metric.better, kinds, judged


def _exit_codes() -> list[tuple[str, ...]]:
    ends: dict[int, list[str]] = {}
    for error in BitbenchError.__subclasses__():
        if error.__module__ == BitbenchError.__module__:
            ends.setdefault(error.exit_code, []).append(" ".join((error.__doc__ or "").split()))
    rows = [(str(code), f"`{word}`", " ".join(ends.get(code, []))) for code, word in enumerate(ANSWERS)]
    return [*rows, (str(INTERNAL_ERROR), "`error`", "A bug of bitbench itself."), (str(INTERRUPTED), "", "Ctrl-C.")]


def pages() -> dict[str, str]:
    """Text of each page by the name of its file."""
    commands = list(_commands(bitbench, click.Context(bitbench, info_name="bitbench")))
    codes = [
        (f"[{one.info_name}](commands.md#{(one.info_name or '').replace(' ', '-')})", told)
        for one in commands
        for told in EXIT_CODES.findall(_help(one))
    ]
    sections = "\n\n".join(_command(one) for one in commands)
    metrics = [_metric(one) for one in METRICS.values()]
    return {
        "commands.md": f"""# Commands

{MADE}

Every command has `--help`. Give an option once, unless its text says that it may be given several times.

{sections}
""",
        "metrics.md": f"""# Metrics

{MADE}

An `exact` metric has no noise: two values are compared directly. A `sampled` metric varies from call to call and gets a
confidence interval over rounds. A `paired` metric has a value a unit (a document, a query, a seed), and two results are
compared [unit by unit](../numbers/paired.md). A `portable` metric is exact or paired and means the same on every
machine. `--metric` takes the name of a metric or one of these four words.

{_table(("metric", "is", "unit", "better", "kind", "counts as equal within"), metrics)}
""",
        "exit-codes.md": f"""# Exit codes

{MADE}

The exit code is the answer of a command in one number. It is never 0 when nothing was measured.

{_table(("code", "verdict of a gate", "errors that end any command with it"), _exit_codes())}

Some commands say more about their codes:

{_table(("command", "says"), codes)}
""",
    }


if __name__ == "__main__":
    for name, text in pages().items():
        (HERE / name).write_text(text)
