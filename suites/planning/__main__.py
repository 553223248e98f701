"""`python -m suites.planning RUN --bytes 60MiB -o plan.json`: the plan that `replace_linear` and `quality` take."""

import math
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from bitlinear import Plan
from bitlinear.scheme import Scheme
from harness.analysis.results import of_run
from harness.errors import BitbenchError, UsageError
from harness.model.units import amount, parse_size
from harness.store import load
from suites.planning.greedy import Option, assign, total
from suites.whole.quality import ALL


def options_of(run: Path) -> Iterator[Option]:
    """One for each measured case of a run of `sensitivity`, of one model. Raises UsageError for any other run."""
    found = [one for one in of_run(load(run)).values() if one.summary("quantised_bytes")]
    if not found or any(one.case.params["layers"] == ALL for one in found):
        raise UsageError(f"{run} has not measured layers one kind alone; give a run of `bitbench run sensitivity`")
    if len(models := {str(one.case.params["model"]) for one in found}) > 1:
        raise UsageError(f"{run} is of several models: {', '.join(sorted(models))}; run sensitivity for one of them")
    for one in found:
        size, kl, cosine = (one.summary(name) for name in ("quantised_bytes", "kl_divergence", "embedding_cosine"))
        assert size is not None
        loss = kl.centre if kl else 1 - cosine.centre if cosine else math.nan
        yield Option(str(one.case.params["layers"]), str(one.case.params["scheme"]), round(size.centre), loss)


@click.command(help=__doc__)
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--bytes", "size", required=True, help="Bytes of all linear layers but the head at most, as in 60MiB.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The plan file to write.")
def plan(run: Path, size: str, output: Path) -> None:
    """See the module."""
    try:
        most = int(parse_size(size))
        taken = assign(options_of(run), most)
    except (BitbenchError, ValueError) as error:
        raise click.UsageError(str(error)) from error
    layers = {pattern: Scheme.parse(one.scheme) for name, one in taken.items() for pattern in name.split("+")}
    loss = sum(one.loss for one in taken.values())
    Plan(layers, note=f"{total(taken)} bytes; each kind of layer alone loses, added up, {loss:.3g}").save(output)
    for one in taken.values():
        click.echo(f"{one.layers:20} {one.scheme:18} {amount(one.size, 'B'):>9}  loss alone {one.loss:.3g}")
    click.echo(f"{output}: {amount(total(taken), 'B')}, losses added up {loss:.3g}; measure it whole:")
    click.echo(f"bitbench run quality --axis model=... --axis scheme={output}")


if __name__ == "__main__":
    sys.exit(plan())
