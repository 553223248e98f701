"""How long a step of a whole model takes: the sum over its products, each measured once, and all else.

Of a round, the products of one shape take `used x latency` for each of their names. The sum over names, and a step of
the model's blocks without their products (`part=rest`), make the estimate. Beside it stands a decoder that was run
whole (`part=decoder`), of as many blocks as memory took: the estimate for as many blocks is to agree with it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from harness.analysis.results import Result, of_run
from harness.estimators.intervals import Summary
from harness.model import Params, StoredRun, Value
from harness.model.metrics import LATENCY
from harness.model.whole_model import Product, WholeModel

PART, REST, DECODER = "part", "rest", "decoder"
"""The param that tells parts of a decoder from layers, and its values."""
FULL_BYTES = 2
"""Of a weight that stays in full precision, which is 16 bits."""
_OF_A_LAYER = ("n", "k", "cache")
_OF_A_DECODER = (PART, "model", "blocks", "sizes")
"""Params that are no setting that layers and decoders share."""

ByRound = Mapping[int, float]


@dataclass(frozen=True)
class Step:
    """One step of a model with the layers of one contestant. Times are in seconds."""

    model: WholeModel
    implementation: str
    is_baseline: bool
    setting: Params
    """Of the layers `m`, `scheme`, `dtype`, `device` and `threads`; of the decoder `context` besides."""
    products: Summary
    """All products but the head."""
    rest: Summary | None
    """All else. None where the model is no decoder of equal blocks."""
    estimate: Summary
    """Both together."""
    decoder: Summary | None
    """A decoder of `blocks_run` blocks run whole."""
    blocks: int
    """Of the model; 0 where they are not known."""
    blocks_run: int
    deviation: Summary | None
    """The decoder over the estimate for as many blocks."""
    weight_bytes: float
    """Of all that the model stores, its products but the head as the contestant stores them, the rest in 16 bits."""
    by_round: ByRound
    """The estimate."""

    @property
    def tokens(self) -> int:
        """Of one step."""
        return int(self.setting["m"])

    @property
    def as_run(self) -> WholeModel:
        """The model as this step read it: heads in 16 bits; none where all else was not measured."""
        products = []
        for product in self.model.products:
            if product.is_head:
                if self.rest is None:
                    continue
                size = FULL_BYTES * product.weights
                stored_bytes = 0 if product.is_tied else size
                sizes = {} if product.is_tied else dict.fromkeys(product.scheme_bytes, size)
                product = replace(product, stored_bytes=stored_bytes, read_bytes=size, scheme_bytes=sizes)
            products.append(product)
        return replace(self.model, products=tuple(products))

    @property
    def rate(self) -> tuple[float, float, float]:
        """Tokens a second: centre, low and high."""
        return (self.tokens / self.estimate.centre, self.tokens / self.estimate.hi, self.tokens / self.estimate.lo)

    def over(self, other: "Step") -> Summary:
        """How many times as fast as `other` it is, by the rounds that both have."""
        common = sorted(self.by_round.keys() & other.by_round.keys())
        return _summary({number: other.by_round[number] / self.by_round[number] for number in common})


def layers_of(results: Iterable[Result]) -> list[Result]:
    """Those that are no parts of a whole model, such as a decoder, which has no shape and meets no layer."""
    return [one for one in results if PART not in one.case.params]


def steps(stored: StoredRun, results: Iterable[Result] | None = None) -> list[Step]:
    """Every step that a run tells of, by model, setting and contestant; none where a layer was not measured."""
    if not stored.run.models:
        return []
    everything = [one for one in results or of_run(stored).values() if one.has(LATENCY.name)]
    layers = [one for one in layers_of(everything) if {"n", "k", "m"} <= one.case.params.keys()]
    parts = [one for one in everything if PART in one.case.params]
    settings = {_key(one): _setting(one) for one in (*layers, *parts)}
    narrow = [own for own in settings.values() if "context" not in own]
    names = dict.fromkeys(one.case.implementation for one in layers)
    found = []
    for model in stored.run.models:
        here = [one for one in parts if one.case.params["model"] == model.name]
        for setting in narrow:
            of_layers = [one for one in layers if _setting(one) == setting]
            wide = [own for own in settings.values() if "context" in own and setting.items() <= own.items()]
            for own in wide if here else [setting]:
                of_parts = [one for one in here if _setting(one) == own]
                found += [_step(model, of_layers, of_parts, name, own) for name in names]
    return [one for one in found if one is not None]


def _step(
    model: WholeModel, layers: Sequence[Result], parts: Sequence[Result], name: str, setting: Params
) -> Step | None:
    own = [product for product in model.products if not product.is_head]
    by_shape = {_shape(one.case.params): one for one in layers if one.case.implementation == name}
    used = [(product, by_shape.get((product.out_features, product.in_features))) for product in own]
    measured = [(product, layer) for product, layer in used if layer is not None]
    if not used or len(measured) < len(used) or _uses_experts(own, int(setting["m"])):
        return None
    products = _sum((product.used, _by_round(layer)) for product, layer in measured)
    blocks = max((int(one.case.params["blocks"]) for one in parts), default=0)
    rests = {int(one.case.params["blocks"]): _by_round(one) for one in parts if one.case.params[PART] == REST}
    estimate = _sum(((1.0, products), (1.0, rests[blocks]))) if blocks in rests else products
    whole = next((one for one in parts if (one.case.params[PART], one.case.implementation) == (DECODER, name)), None)
    run = int(whole.case.params["blocks"]) if whole else 0
    deviation = None
    if whole and run in rests:
        expected, taken = _sum(((run / blocks, products), (1.0, rests[run]))), _by_round(whole)
        common = sorted(taken.keys() & expected.keys())
        deviation = _summary({number: taken[number] / expected[number] for number in common})
    return Step(
        model=model,
        implementation=name,
        is_baseline=measured[0][1].is_baseline,
        setting=setting,
        products=_summary(products),
        rest=_summary(rests[blocks]) if blocks in rests else None,
        estimate=_summary(estimate),
        decoder=whole.summary(LATENCY.name) if whole else None,
        blocks=blocks,
        blocks_run=run,
        deviation=deviation,
        weight_bytes=_bytes(model, measured),
        by_round=estimate,
    )


def _key(result: Result) -> tuple[tuple[str, Value], ...]:
    return tuple(_setting(result).items())


def _uses_experts(products: Iterable[Product], tokens: int) -> bool:
    """Whether several tokens go through experts: through how many of them, and how many together, is not known."""
    return tokens > 1 and any(product.used != product.count for product in products)


def _setting(result: Result) -> Params:
    beside = {*_OF_A_LAYER, *_OF_A_DECODER}
    return {name: value for name, value in result.case.params.items() if name not in beside}


def _shape(params: Mapping[str, Value]) -> tuple[int, int]:
    return int(params["n"]), int(params["k"])


def _by_round(result: Result) -> ByRound:
    return {number: LATENCY.of_round(taken.values) for number, taken in result.rounds(LATENCY.name).items()}


def _sum(terms: Iterable[tuple[float, ByRound]]) -> ByRound:
    """The weighted sum by round, of the rounds that all have."""
    everyone = list(terms)
    common = set(everyone[0][1]).intersection(*(values for _, values in everyone))
    return {number: sum(weight * values[number] for weight, values in everyone) for number in sorted(common)}


def _summary(by_round: ByRound) -> Summary:
    return LATENCY.summarise([[value] for value in by_round.values()])


def _bytes(model: WholeModel, measured: Iterable[tuple[Product, Result]]) -> float:
    size = 0.0
    for product, layer in measured:
        stored = layer.summary("weight_bytes")
        size += product.count * stored.centre if stored else float("nan")
    heads = sum(product.weights for product in model.products if product.is_head and not product.is_tied)
    return size + FULL_BYTES * (heads + sum(part.parameters for part in model.others))
