"""How fast a whole model is, for people: a sentence, and a row for each contestant."""

from collections.abc import Iterator, Sequence

from harness.analysis.roofline import most_tokens
from harness.analysis.whole_model.step import Step
from harness.estimators.intervals import Summary
from harness.model import Ceilings
from harness.model.metrics import LATENCY
from harness.model.units import NOT_KNOWN, amount, figure, is_known, spread, supported_digits
from harness.model.whole_model import WholeModel
from harness.show.table import Block, Cell, Column, Table

LEGEND = (
    "products: of every product of the model but the head, its latency times how often a step uses it, summed;\n"
    "all else: a step of all blocks without products: attention, norms, head in bfloat16, Python;\n"
    "run whole: a decoder of random weights and real sizes, of as many blocks as a sixteenth of the memory holds;\n"
    "of estimate: its latency over what the parts give for as many blocks, 1 where they agree"
)
NO_DECODER = (
    "All else was not measured, because the model is no row of equal blocks of attention and a perceptron: it has at"
    " most so many tokens a second."
)


def blocks_of(steps: Sequence[Step], ceilings: Sequence[Ceilings]) -> list[Block]:
    """A sentence and a table for each model and setting; nothing where there is no step."""
    blocks: list[Block] = []
    for group in groups(steps):
        blocks += [answer(group), *most(group, ceilings), table(group)]
        blocks += [NO_DECODER] * any(step.rest is None for step in group)
    return [*blocks, LEGEND] if blocks else []


def untold(models: Sequence[WholeModel], steps: Sequence[Step]) -> list[str]:
    """Of every model without a step a sentence that says why."""
    told = {step.model.name for step in steps}
    return [f"No tokens/s of {model.name} are known: {_why_none(model)}." for model in models if model.name not in told]


def _why_none(model: WholeModel) -> str:
    layer = "not every product of it was measured"
    if any(product.used != product.count and not product.is_head for product in model.products):
        return f"{layer}, or it has experts and more than one token a step (m), of which nobody knows how many they use"
    return layer


def groups(steps: Sequence[Step]) -> list[list[Step]]:
    """Steps by model and setting: those that compete."""
    found: dict[tuple[object, ...], list[Step]] = {}
    for step in steps:
        found.setdefault((step.model.name, *step.setting.items()), []).append(step)
    return list(found.values())


def answer(group: Sequence[Step]) -> str:
    """`For bitnet-2b4t on this machine: native, 21 tokens/s [20, 22], 1.1 GiB, 9x linear-bf16.`"""
    own = [step for step in group if not step.is_baseline] or list(group)
    best = min(own, key=lambda step: step.estimate.centre)
    rivals = [step for step in own if step is not best and not best.over(step).lo > 1]
    also = f" (not told apart from {', '.join(one.implementation for one in rivals)})" if rivals else ""
    said = [f"{best.implementation}{also}", rate(best), amount(best.weight_bytes, "B")]
    base = next((step for step in group if step.is_baseline and step is not best), None)
    if base is not None:
        said.append(_factor(best.over(base), f" {base.implementation}"))
    return f"For {best.model.name}{_words(best)} on this machine: {', '.join(said)}."


def most(group: Sequence[Step], ceilings: Sequence[Ceilings]) -> Iterator[str]:
    """How many tokens a second the ceilings of the machine allow, where a step is one token."""
    first, scheme = group[0], str(group[0].setting.get("scheme"))
    here = (first.setting.get("device"), first.setting.get("threads"))
    known = next((one for one in ceilings if (one.device, one.threads) == here), None)
    if (
        known
        and first.tokens == 1
        and all(scheme in product.scheme_bytes for product in first.model.products if not product.is_tied)
    ):
        rate_there = figure(most_tokens(first.as_run, scheme, known), 3)
        yield f"At most {rate_there} tokens/s can be had here by {scheme}: as fast as its products can be read."


def rate(step: Step) -> str:
    """`21 tokens/s [20, 22]`."""
    centre, lo, hi = step.rate
    if not is_known(step.estimate.centre, step.estimate.hi):
        return f"tokens/s {NOT_KNOWN}"
    return f"{figure(centre, 3)} tokens/s [{figure(lo, 3)}, {figure(hi, 3)}]"


def _words(step: Step) -> str:
    """What one step is."""
    past = step.setting.get("context")
    if step.tokens == 1:
        return f", one token after {past}" if past else ", one token"
    return f", m={step.tokens}"


def table(group: Sequence[Step]) -> Table:
    """A row for each contestant."""
    base = next((step for step in group if step.is_baseline), None)
    versus = base.implementation if base else ""
    heads = ["products", "all else", "a step", "tokens/s", "weights", *([f"vs\n{versus}"] if base else [])]
    heads += ["run whole", "blocks", "of\nestimate"]
    setting = " ".join(f"{name}={value}" for name, value in group[0].setting.items())
    columns = (Column("implementation"), *(Column(head, "right") for head in heads))
    return Table(f"{group[0].model.name}: {setting}", columns, [_row(step, base) for step in group])


def _row(step: Step, base: Step | None) -> list[Cell]:
    centre, lo, hi = step.rate
    known = is_known(step.estimate.centre, step.estimate.hi)
    row: list[Cell] = [step.implementation, _time(step.products), _time(step.rest), _time(step.estimate)]
    row += [f"{figure(centre, 3)} [{figure(lo, 3)}, {figure(hi, 3)}]" if known else NOT_KNOWN]
    row += [amount(step.weight_bytes, "B")]
    if base is not None:
        row.append("1x" if step is base else _factor(step.over(base)))
    run = f"{step.blocks_run} of {step.blocks}" if step.decoder else ""
    deviation = step.deviation
    told = "" if deviation is None else NOT_KNOWN
    if deviation and is_known(deviation.centre, deviation.hi):
        told = f"{figure(deviation.centre, 3)} {spread(deviation.centre, deviation.hi)}"
    return [*row, _time(step.decoder), run, told]


def as_row(step: Step) -> dict[str, Cell]:
    """For machines: seconds, tokens a second and bytes; intervals as `_lo` and `_hi`."""
    row: dict[str, Cell] = {"model": step.model.name, "implementation": step.implementation, **step.setting}
    summaries = {"products": step.products, "rest": step.rest, "step": step.estimate, "decoder": step.decoder}
    for name, summary in {**summaries, "decoder_over_estimate": step.deviation}.items():
        if summary is not None:
            row |= {name: summary.centre, f"{name}_lo": summary.lo, f"{name}_hi": summary.hi}
    rates = dict(zip(("", "_lo", "_hi"), step.rate, strict=True))
    row |= {f"tokens_per_second{end}": value for end, value in rates.items()}
    return row | {"weight_bytes": step.weight_bytes, "blocks": step.blocks, "blocks_run": step.blocks_run}


def _time(summary: Summary | None) -> str:
    return LATENCY.format(summary) if summary else ""


def _factor(ratio: Summary, of: str = "") -> str:
    """`3.44x linear-bf16 ±4.1%`."""
    if not is_known(ratio.centre, ratio.hi):
        return f"{NOT_KNOWN} how many times{of}" if of else NOT_KNOWN
    return f"{figure(ratio.centre, supported_digits(ratio.centre, ratio.hi))}x{of} {spread(ratio.centre, ratio.hi)}"
