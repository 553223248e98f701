"""`-k EXPR`: which cases to keep, by words of their names joined with and, or, not and parentheses."""

import re
from collections.abc import Callable

from harness.errors import UsageError

CaseFilter = Callable[[str], bool]
_TOKEN = re.compile(r"\(|\)|[^\s()]+")


def parse(expression: str) -> CaseFilter:
    """A predicate on case names. A word matches when it is a part of the name, whatever the case of its letters.

    Raises UsageError for an expression that is not well formed.
    """
    if not expression.strip():
        return lambda _: True
    tokens = _TOKEN.findall(expression)
    keep = _either(tokens, expression)
    if tokens:
        raise _malformed(expression)
    return keep


def _either(tokens: list[str], expression: str) -> CaseFilter:
    terms = [_both(tokens, expression)]
    while tokens and tokens[0] == "or":
        tokens.pop(0)
        terms.append(_both(tokens, expression))
    return lambda name: any(term(name) for term in terms)


def _both(tokens: list[str], expression: str) -> CaseFilter:
    factors = [_factor(tokens, expression)]
    while tokens and tokens[0] == "and":
        tokens.pop(0)
        factors.append(_factor(tokens, expression))
    return lambda name: all(factor(name) for factor in factors)


def _factor(tokens: list[str], expression: str) -> CaseFilter:
    token = tokens.pop(0) if tokens else ")"
    if token == "not":
        negated = _factor(tokens, expression)
        return lambda name: not negated(name)
    if token == "(":
        inner = _either(tokens, expression)
        if not tokens or tokens.pop(0) != ")":
            raise _malformed(expression)
        return inner
    if token in {")", "and", "or"}:
        raise _malformed(expression)
    return lambda name: token.lower() in name.lower()


def _malformed(expression: str) -> UsageError:
    return UsageError(f"-k {expression!r} is not well formed; write words joined by and, or, not and parentheses")
