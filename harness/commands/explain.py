"""`bitbench explain`: why the verdict on a case is what it is."""

from pathlib import Path
from typing import Literal

import click

from harness.commands import options
from harness.commands.values import Place
from harness.errors import UsageError
from harness.gate.runs import is_gate, last, load_sides
from harness.judge.judge import judge_runs
from harness.judge.rules import sentences_of_schema_4
from harness.model import StoredRun, known_metrics
from harness.model.metrics import judged
from harness.model.rules import Rules
from harness.show.explanation import Explanation, Gate
from harness.show.run_header import describe_run
from harness.show.table import Block, Table, pretty_json, render
from harness.show.verdict_words import LEGEND, told_verdict
from harness.store import load

Form = Literal["text", "markdown", "json"]


@click.command("explain", cls=options.ReadingCommand)
@click.argument("case")
@click.argument("runs", nargs=-1, type=Place(), metavar="[BASE_RUN HEAD_RUN]")
@click.option("--gate", type=Place(), metavar="DIR", help="A gate; default the one held last.")
@options.rules_file
@options.margin
@click.option(
    "--format", "form", type=click.Choice(("text", "markdown", "json")), default="text", show_default=True,
    help="How to print.",
)  # fmt: skip
def command(
    case: str, runs: tuple[Path, ...], gate: Path | None, rules: Path | None, margin: str | None, form: Form
) -> None:
    """Tell in words why the verdict on CASE is what it is.

    CASE is a full name, an expression as of -k that few cases match, or `mean` for the geometric mean of all. Give the
    rules that the gate was held by: the verdict is found anew from what it measured.
    """
    base, head, where = _sides(runs, gate)
    known = known_metrics(base.run, head.run)
    tolerated = options.rules_of(rules, margin, known)
    found = Gate(judge_runs(base, head, judged(known), tolerated)).explain(case)
    other_rules = _other_rules(head, tolerated)
    if form == "json":
        click.echo(pretty_json(_content(base, head, tolerated, other_rules, found)))
        return
    top = [*where, f"base: {describe_run(base.run)}", f"head: {describe_run(head.run)}", LEGEND, *other_rules]
    click.echo(render(["\n".join(top), *_page(found)], form))


def _sides(runs: tuple[Path, ...], gate: Path | None) -> tuple[StoredRun, StoredRun, list[str]]:
    """Base and head, and a line that says where they lie if that was not said."""
    if runs and gate:
        raise UsageError("two runs and --gate: give one or the other")
    if len(runs) == 1 and is_gate(runs[0]):
        raise UsageError(f"{runs[0]} is the directory of a gate: give it as --gate {runs[0]}")
    if len(runs) not in (0, 2):
        raise UsageError(f"given {len(runs)} run: give BASE_RUN and HEAD_RUN, --gate DIR, or neither for the last gate")
    if runs:
        return load(runs[0]), load(runs[1]), []
    if gate:
        return *load_sides(gate), []
    held = last()
    return load(Path(held.base)), load(Path(held.head)), [held.place]


def _other_rules(head: StoredRun, rules: Rules) -> list[str]:
    """What to know where the gate declared other rules than these."""
    declared = head.run.rules
    if not head.run.pair or declared.gate == rules:
        return []
    words = declared.gate.in_words() if declared.gate else declared.words
    ours = rules.in_words() if declared.gate else sentences_of_schema_4(rules)
    others = [line for line in words if line not in ours]
    if not others:
        return []
    return [f"warning: the gate was held by other rules, give them by --rules or --margin: {'; '.join(others)}"]


def _page(found: list[Explanation]) -> list[Block]:
    if len(found) == 1:
        return found[0].page()
    return [f"{one.name}\n{one.short}" for one in found]


def _content(
    base: StoredRun, head: StoredRun, rules: Rules, warnings: list[str], found: list[Explanation]
) -> dict[str, object]:
    return {
        "base": base.run.id,
        "head": head.run.id,
        "rules": rules,
        "warnings": warnings,
        "explanations": [
            {
                "name": one.name,
                "short": one.short,
                "paragraphs": {
                    topic.lower(): block.as_dicts() if isinstance(block, Table) else block
                    for topic, block in one.paragraphs
                },
                "verdicts": [told_verdict(verdict) for verdict in one.verdicts],
            }
            for one in found
        ],
    }
