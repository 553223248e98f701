"""`bitbench model`: every linear product of a model, its bytes, and its share of the work."""

import click
import msgspec

from harness.analysis.roofline import most_tokens
from harness.commands import options
from harness.commands.values import Words
from harness.errors import UsageError
from harness.machine.ceilings import recall
from harness.machine.environment import available_memory, combine, machine, usable_cores
from harness.model import Ceilings
from harness.model.messages import ModelReading, ReadModel
from harness.model.suite import DEFAULT_MODULE
from harness.model.units import parse_names
from harness.model.whole_model import WholeModel
from harness.runner.pool import READING_LIMIT
from harness.runner.process import WorkerLostError, WorkerProcess
from harness.show.model.listing import known_models, page
from harness.show.table import pretty_json, render

SCHEMES = ("w1.58a8-nonorm", "w4a8-nonorm", "w8a8-nonorm")
DEVICE = "cpu"


@click.command("model", cls=options.Command)
@click.argument("source", type=Words(), default=None, required=False, metavar="[MODEL]")
@click.option(
    "--scheme",
    "schemes",
    type=Words(),
    multiple=True,
    default=SCHEMES,
    metavar="A,B",
    help=f"Show bytes by these schemes; default {','.join(SCHEMES)}; may be given several times.",
)
@click.option("--format", "form", type=click.Choice(("text", "json")), default="text", show_default=True)
def command(source: str | None, schemes: tuple[str, ...], form: str) -> None:
    """List every linear product of MODEL, its bytes at full precision and by scheme, and its share of a token's work.

    MODEL is the config.json of a Hugging Face model or its folder (needs transformers, and no weights), a .safetensors
    or .gguf file, a function or module as mypkg:make_model, or a name. Without MODEL: the names that come with
    bitbench.
    """
    asked = parse_names("--scheme", schemes)
    reading, ceilings = _read(ReadModel(source or "", asked if source else ()))
    if reading.model is None:
        click.echo(_json(reading.known) if form == "json" else render([known_models(reading.known)], "text"))
        return
    model = reading.model
    shown = list(model.products[0].scheme_bytes) if model.products else []
    rates = {scheme: most_tokens(model, scheme, ceilings) for scheme in shown} if ceilings else {}
    if form == "json":
        click.echo(_json(model, rates))
    else:
        click.echo(render(page(model, shown, rates), "text"))


def _read(question: ReadModel) -> tuple[ModelReading, Ceilings | None]:
    """The model, and the ceilings of this machine where they are known. Raises UsageError for what is no model."""
    worker = WorkerProcess(DEFAULT_MODULE, memory_limit=available_memory())
    try:
        environment = combine(machine(), worker.describe().environment)
        reading = worker.read_model(question, READING_LIMIT)
    except WorkerLostError as lost:
        raise UsageError(f"{question.source} cannot be read: {lost.reason}") from lost
    finally:
        worker.close()
    if reading.refusal:
        raise UsageError(reading.refusal)
    return reading, recall(environment, DEVICE, usable_cores())


def _json(model: WholeModel | tuple[WholeModel, ...], rates: dict[str, float] | None = None) -> str:
    if isinstance(model, tuple):
        return pretty_json([{"name": one.name, **_totals(one)} for one in model])
    return pretty_json({**msgspec.to_builtins(model), **_totals(model), "most_tokens_per_second": rates or None})


def _totals(model: WholeModel) -> dict[str, float]:
    return {
        "parameters": model.parameters,
        "active_parameters": round(model.active_parameters),
        "stored_bytes": model.stored_bytes,
        "operations_per_token": model.operations,
    }
