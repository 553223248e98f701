"""Parents that read the weight of a child instead of calling it, found in the source of their class.

Found are reads of `.weight` in a method, also by way of names, loops and `getattr`. A child that a method hands to
another function, which reads the weight, is not found.

A quantised layer in such a place is passed over: the parent multiplies by the float weight. `nn.MultiheadAttention`
and `nn.LinearCrossEntropyLoss` do it, and some twenty classes of transformers, such as DeBERTa's, WavLM's and Mamba's.
"""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from functools import cache
from types import CodeType
from typing import TypeAlias

from torch import nn

Names: TypeAlias = dict[str, set[str]]

_DEEPEST = 4
"""Lists in lists that a path may lead through, so that `x = x[0]` in a loop comes to an end."""
_HARMLESS = frozenset({"dtype", "device", "shape", "size", "ndim", "dim", "numel", "is_floating_point", "element_size"})
_SET_UP = ("__init__", "_init", "init_", "reset_", "_reset", "tie_", "_tie", "extra_repr", "post_init")
"""How methods begin that fill or share weights, and compute nothing."""
_CURED = (nn.TransformerEncoderLayer, nn.TransformerEncoder)
"""Classes that read only where all layers are plain: they see a hook, or a tensor that is none of torch's own."""


def read_children(parent: nn.Module) -> dict[str, str]:
    """Paths below `parent` whose weight its code reads, such as "out_proj" or "layers.*", each with the place."""
    found: dict[str, str] = {}
    for cls in type(parent).__mro__:
        if cls is nn.Module:
            break
        if cls not in _CURED:
            found = {**_reads(cls), **found}
    return found


@cache
def _reads(cls: type) -> dict[str, str]:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    except (OSError, TypeError, SyntaxError):  # made at run time, or read from standard input: there is no source
        return _reads_of_code(cls)
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    return reads_of_class(classes[0]) if classes else {}


def reads_of_class(cls: ast.ClassDef) -> dict[str, str]:
    """Paths of children whose weight the methods of a class read, each with the method, such as "Reads.forward"."""
    methods = [node for node in cls.body if isinstance(node, ast.FunctionDef) and not node.name.startswith(_SET_UP)]
    return {path: f"{cls.name}.{method.name}" for method in methods for path in _weights_read(method) if path}


def _reads_of_code(cls: type) -> dict[str, str]:
    """The same by a guess, on the safe side: all names that a compiled method has beside "weight"."""
    found: dict[str, str] = {}
    for name, method in vars(cls).items():
        code = getattr(getattr(method, "fget", method), "__code__", None)
        if code is None or name.startswith(_SET_UP):
            continue
        names = {own for part in _with_nested(code) for own in part.co_names}
        if "weight" in names:
            found |= {path: f"{cls.__name__}.{name}" for own in names for path in (own, f"{own}.*")}
    return found


def _with_nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _with_nested(constant)


def _weights_read(method: ast.FunctionDef) -> Iterator[str]:
    known = _paths_of_names(method)
    harmless = set()
    for node in ast.walk(method):
        if isinstance(node, ast.Attribute) and node.attr in _HARMLESS:
            harmless.add(node.value)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
            harmless.add(node.args[0])
    for node in ast.walk(method):
        match node:
            case ast.Attribute(value=inner, attr="weight", ctx=ast.Load()) if node not in harmless:
                yield from _paths(inner, known)
            case ast.Call(func=ast.Name(id="getattr"), args=[inner, ast.Constant("weight"), *_]) if (
                node not in harmless
            ):
                yield from _paths(inner, known)


def _paths_of_names(method: ast.FunctionDef) -> Names:
    """What the names in a method stand for: "" is the module itself, "out_proj" and "layers.*" are children."""
    arguments = [*method.args.posonlyargs, *method.args.args]
    known: Names = {arguments[0].arg: {""}} if arguments else {}
    before = -1
    while before < (before := sum(map(len, known.values()))):  # names may stand for names
        for node in ast.walk(method):
            match node:
                case ast.Assign(targets=targets, value=value):
                    for target in targets:
                        _bind(target, value, known)
                case ast.AnnAssign(target=target, value=ast.expr() as value) | ast.NamedExpr(target, value):
                    _bind(target, value, known)
                case ast.For(target=target, iter=many) | ast.comprehension(target=target, iter=many):
                    _bind_each(target, many, known)
    return known


def _bind(target: ast.expr, value: ast.expr, known: Names) -> None:
    match target, value:
        case ast.Name(id=name), _:
            if found := {path for path in _paths(value, known) if path.count("*") < _DEEPEST}:
                known.setdefault(name, set()).update(found)
        case ((ast.Tuple(elts=names) | ast.List(elts=names)), (ast.Tuple(elts=values) | ast.List(elts=values))):
            for one, its_value in zip(names, values, strict=False):
                _bind(one, its_value, known)


def _bind_each(target: ast.expr, many: ast.expr, known: Names) -> None:
    """Binds what a loop over `many` takes out of it."""
    match target, many:
        case ast.Tuple(elts=[_, one]), ast.Call(func=ast.Name(id="enumerate"), args=[inner, *_]):
            _bind_each(one, inner, known)
        case ast.Tuple(elts=ones), ast.Call(func=ast.Name(id="zip"), args=inners):
            for one, inner in zip(ones, inners, strict=False):
                _bind_each(one, inner, known)
        case _, ast.Call(func=ast.Name(id="reversed"), args=[inner]):
            _bind_each(target, inner, known)
        case ast.Tuple(elts=[_, one]), ast.Call(func=ast.Attribute(value=inner, attr="items")):
            _bind_each(one, inner, known)
        case _, ast.Call(func=ast.Attribute(value=inner, attr="values" | "children")):
            _bind_each(target, inner, known)
        case _, ast.Tuple(elts=values) | ast.List(elts=values):
            for value in values:
                _bind(target, value, known)
        case _:
            _bind(target, ast.Subscript(many, ast.Constant(0)), known)


def _paths(node: ast.expr, known: Names) -> set[str]:
    """`self.a.b` as "a.b", `self.a[i]` as "a.*", and names as what they stand for; nothing for anything else."""
    match node:
        case ast.Name(id=name):
            return known.get(name, set())
        case ast.Attribute(value=inner, attr=name):
            return {f"{path}.{name}".lstrip(".") for path in _paths(inner, known)}
        case ast.Call(func=ast.Name(id="getattr"), args=[inner, ast.Constant(str(name)), *_]):
            return {f"{path}.{name}".lstrip(".") for path in _paths(inner, known)}
        case ast.Subscript(value=inner):
            return {f"{path}.*".lstrip(".") for path in _paths(inner, known)}
        case ast.IfExp(body=one, orelse=other):
            return _paths(one, known) | _paths(other, known)
    return set()
