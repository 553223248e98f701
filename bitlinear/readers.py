"""Parents that read the weight of a child instead of calling it, found in the source of their class.

A quantised layer in such a place is passed over: the parent multiplies by the float weight. `nn.MultiheadAttention`
and `nn.LinearCrossEntropyLoss` do it, and some twenty classes of transformers, such as DeBERTa's, WavLM's and Mamba's.
"""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from functools import cache

from torch import nn

_HARMLESS = frozenset({"dtype", "device", "shape", "size", "ndim", "dim", "numel", "is_floating_point", "element_size"})
_SET_UP = ("__init__", "_init", "init_", "reset_", "_reset", "tie_", "_tie", "extra_repr", "post_init")
"""How methods begin that fill or share weights, and compute nothing."""
_CURED = (nn.TransformerEncoderLayer,)
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
    except (OSError, TypeError, SyntaxError):  # made at run time, or compiled: there is no source to read
        return {}
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    return reads_of_class(classes[0]) if classes else {}


def reads_of_class(cls: ast.ClassDef) -> dict[str, str]:
    """Paths of children whose weight the methods of a class read, each with the method, such as "Reads.forward"."""
    methods = [node for node in cls.body if isinstance(node, ast.FunctionDef) and not node.name.startswith(_SET_UP)]
    return {path: f"{cls.name}.{method.name}" for method in methods for path in _weights_read(method)}


def _weights_read(method: ast.FunctionDef) -> Iterator[str]:
    harmless = set()
    for node in ast.walk(method):
        if isinstance(node, ast.Attribute) and node.attr in _HARMLESS:
            harmless.add(node.value)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
            harmless.add(node.args[0])
    for node in ast.walk(method):
        match node:
            case ast.Attribute(value=inner, attr="weight", ctx=ast.Load()) if node not in harmless:
                if path := _path(inner):
                    yield path


def _path(node: ast.expr) -> str:
    """`self.a.b` as "a.b", `self.a[i]` as "a.*"; nothing for what does not begin with self."""
    match node:
        case ast.Attribute(value=ast.Name(id="self"), attr=name):
            return name
        case ast.Attribute(value=inner, attr=name) if path := _path(inner):
            return f"{path}.{name}"
        case ast.Subscript(value=inner) if path := _path(inner):
            return f"{path}.*"
    return ""
