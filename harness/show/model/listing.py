"""A whole model in a terminal: its products, all else that it stores, and the sums."""

from collections.abc import Mapping, Sequence

from harness.model.units import amount, figure
from harness.model.whole_model import OtherPart, Product, WholeModel
from harness.show.table import Block, Cell, Column, Table

FULL = "bfloat16"
FULL_BYTES = 2
"""Of a weight at full precision, which is 16 bits."""
UNKNOWN_CEILINGS = (
    "The ceilings of this machine are not known yet, and so not how many tokens a second it can make at most:"
    " `bitbench run quick` measures them."
)


def page(model: WholeModel, schemes: Sequence[str], rates: Mapping[str, float]) -> list[Block]:
    """Tables and sentences; `rates` are the most tokens a second by scheme, empty where no ceilings are known."""
    has_own = any(product.dtype != FULL for product in model.products)
    columns = [Column("product"), Column("kind"), Column("out x in"), Column("count", "right")]
    sizes = [FULL, *(["as stored"] if has_own else []), *schemes]
    columns += [Column(name, "right") for name in (*sizes, "work")]
    rows = [_row(product, schemes, has_own, model.operations) for product in model.products]
    blocks: list[Block] = [_head(model)]
    if rows:
        blocks.append(Table("linear products", tuple(columns), [*rows, _sum(model, schemes, has_own)]))
    else:
        blocks.append("It has no linear product.")
    if model.others:
        blocks.append(_others(model.others))
    blocks.append(_whole(model, schemes))
    blocks += model.notes
    if schemes:
        blocks.append(_rates(rates) if rates else UNKNOWN_CEILINGS)
    return blocks


def known_models(models: Sequence[WholeModel]) -> Table:
    """Names with sizes."""
    heads = (
        Column("model"),
        Column("parameters", "right"),
        Column("for each token", "right"),
        Column("stored", "right"),
    )
    rows = [
        (one.name, _number(one.parameters), _number(one.active_parameters), amount(one.stored_bytes, "B"))
        for one in models
    ]
    return Table("models that come with bitbench", heads, rows)


def _head(model: WholeModel) -> str:
    active = model.active_parameters
    of_token = f", {_number(active)} of them for each token" if round(active) != model.parameters else ""
    return (
        f"{model.name}: {_number(model.parameters)} parameters{of_token}, {amount(model.stored_bytes, 'B')} as stored"
    )


def _row(product: Product, schemes: Sequence[str], has_own: bool, operations: float) -> list[Cell]:
    used = f" ({product.used:g} used)" if product.used != product.count else ""
    if product.is_tied:
        sizes = ["tied", *(["tied"] if has_own else []), *("tied" for _ in schemes)]
    else:
        sizes = [amount(product.weights * FULL_BYTES, "B"), *([amount(product.stored_bytes, "B")] if has_own else [])]
        sizes += [amount(product.scheme_bytes[scheme], "B") for scheme in schemes]
    shape = f"{product.out_features}x{product.in_features}"
    return [product.name, product.kind, shape, f"{product.count}{used}", *sizes, _share(product.operations, operations)]


def _sum(model: WholeModel, schemes: Sequence[str], has_own: bool) -> list[Cell]:
    own = [product for product in model.products if not product.is_tied]
    sizes = [sum(product.weights for product in own) * FULL_BYTES]
    sizes += [sum(product.stored_bytes for product in own)] if has_own else []
    sizes += [sum(product.scheme_bytes[scheme] for product in own) for scheme in schemes]
    count = str(sum(product.count for product in model.products))
    return ["all", "", "", count, *(amount(size, "B") for size in sizes), _share(1, 1)]


def _others(parts: Sequence[OtherPart]) -> Table:
    heads = (Column("no product"), Column("kind"), Column("tensors", "right"), Column("parameters", "right"))
    rows = [
        (part.name, part.kind, part.count, _number(part.parameters), amount(part.stored_bytes, "B"), part.why)
        for part in parts
    ]
    return Table("all else", (*heads, Column("as stored", "right"), Column("why")), rows)


def _whole(model: WholeModel, schemes: Sequence[str]) -> str:
    by_scheme = [f"{amount(model.bytes_by(scheme), 'B')} by {scheme}" for scheme in schemes]
    tied = "; a tied head stays as stored" if any(product.is_tied for product in model.products) else ""
    return f"The whole model: {', '.join([amount(model.stored_bytes, 'B') + ' as stored', *by_scheme])}{tied}."


def _rates(rates: Mapping[str, float]) -> str:
    told = ", ".join(f"{figure(rate, 3)} by {scheme}" for scheme, rate in rates.items())
    return f"At most so many tokens a second can be had here, one sequence, all cores, products alone: {told}."


def _share(part: float, whole: float) -> str:
    share = 100 * part / whole if whole else 0.0
    return f"{share:.0f}%" if share >= 10 else f"{share:.2g}%"


def _number(count: float) -> str:
    """`8.03e9` in the words of the field: 8.03 billion."""
    for size, name in ((1e9, " billion"), (1e6, " million")):
        if count >= size:
            return f"{figure(count / size, 3)}{name}"
    return f"{count:.0f}"
