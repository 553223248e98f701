"""Terms of the page, each with its explanation: a button that opens it, which needs no script."""

import re
from collections.abc import Iterable

from markupsafe import Markup, escape

TERMS = {
    "SQNR": "Signal to quantisation noise ratio: how much larger the right output is than the error of quantising it,"
    " in decibels. Higher is better; 6 dB halve the error. About 8 dB is usual for ternary weights, 20 for 4 bits.",
    "M": "Tokens in one call of the layer. M = 1 is decoding, a token at a time; 128 and more is prefill or training.",
    "hot": "Weights that were read just before and lie in the processor's caches: as if one layer ran alone.",
    "cold": "Weights that are not in the processor's caches, because other data was read before each call.",
    "stream": "Each call reads the weights of another layer from memory, as a model does that decodes token by token."
    " The nearest to real decoding.",
    "contest": "Cases that differ only in the implementation. They get the same weights and inputs and take turns.",
    "within noise": "The interval of the ratio reaches 1: the rounds do not tell which of the two is faster.",
    "baseline": "The plain linear layer, without quantisation, that all others are compared with: the fastest over all"
    " contests of those measured.",
    "Pareto front": "The implementations that no other beats in both speed and error.",
    "agreement": "How closely an implementation computes what it promises. It is a property of the implementation, and"
    " apart from the quantisation error, which belongs to the scheme.",
    "margin": "The slowdown that is tolerated.",
    "sensitivity": "The smallest slowdown that this gate would have called in nine of ten repetitions, in its noisiest"
    " case. More rounds or a quieter machine make it smaller.",
    "exit code": "The number that `bitbench gate` tells a script: 0 passed, 1 regressed, 2 incomparable, 3 undecided,"
    " 4 the machine moved, 5 not measured.",
}
"""In the spelling in which they stand in the text."""

_WORD = re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, sorted(TERMS, key=len, reverse=True)))})(?![\w-])")


def explained(text: str) -> Markup:
    """`text` with the first mention of every term as a button that opens its explanation."""
    seen: set[str] = set()
    parts = _WORD.split(str(text))
    return Markup("").join(_button(part, seen) if index % 2 else escape(part) for index, part in enumerate(parts))


def identity(term: str) -> str:
    """The id of the explanation."""
    return f"term-{term.lower().replace(' ', '-')}"


def _button(term: str, seen: set[str]) -> Markup:
    if term in seen:
        return escape(term)
    seen.add(term)
    return Markup('<button type="button" class="term" popovertarget="{}">{}</button>').format(identity(term), term)


def explanations() -> Iterable[tuple[str, str, str]]:
    """Id, term and explanation of each."""
    return [(identity(term), term, text) for term, text in TERMS.items()]
