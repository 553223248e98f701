"""References, "package.module:object": the object, and where there is none, what may have been meant."""

import ast
import importlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import get_close_matches
from functools import reduce
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.errors import UsageError
from harness.user_code import shadowing
from harness.user_code.plain_text import message, of_error
from harness.user_code.raised import innermost, own_frames

FORM = "give it as package.module:object"
SHOWN = 5
"""Names of a module that are offered where none is like the one that was given."""


def follow(
    reference: str,
    importing: Callable[[str], ModuleType] = importlib.import_module,
    fits: Callable[[object], bool] = callable,
) -> Any:
    """The object that "package.module:object" names.

    Raises UsageError where there is none, with those objects of the module that `fits` says would do, and where the
    module raises, with the line that did.
    """
    module, _, name = reference.partition(":")
    if wrong := _misspelt(module, name):
        raise UsageError(f"cannot import {reference!r}: {wrong}")
    try:
        place = importing(module)
    except (Exception, SystemExit) as error:  # a module may raise anything when it is imported
        raise UsageError(f"cannot import {reference!r}: {_said(error)}{_cure(error, module)}") from error
    offered = _offer(module, name, _own_names(place, fits)) or f"; {FORM}"
    if not name:
        raise UsageError(f"cannot import {reference!r}: it names a module and no object in it{offered}")
    try:
        return reduce(getattr, name.split("."), place)
    except AttributeError as error:
        raise UsageError(f"cannot import {reference!r}: {_said(error)}{offered}") from error


def refusal(find: Callable[[str], object], name: str) -> str:
    """The sentence by which `find` refuses `name`; empty where it finds something. What else it raises goes on."""
    try:
        find(name)
    except UsageError as error:
        return str(error)
    return ""


def others(
    reference: str,
    importing: Callable[[str], ModuleType] = importlib.import_module,
    fits: Callable[[object], bool] = callable,
) -> str:
    """`; did you mean mine:Mine?` of a reference whose object is there and will not do."""
    module = reference.partition(":")[0]
    return _offer(module, "", _own_names(importing(module), fits))


def meant(name: str, known: Iterable[str], folders: Sequence[str]) -> str:
    """`; did you mean mine:Mine?` of a name that is none of the `known`; empty where nothing is like it.

    Modules in `folders` are read and not imported.
    """
    words = name.removesuffix(".py").strip("./").replace("/", ".")
    for module, wanted in ((words, ""), words.rpartition(".")[::2]):
        for folder in folders:
            if offered := _offer(module, wanted, list(_written(Path(folder), module))):
                return offered
    close = get_close_matches(name, known, 1)
    return f"; did you mean {close[0]}?" if close else ""


def _misspelt(module: str, name: str) -> str:
    if module.endswith(".py") or "/" in module:
        dotted = module.removesuffix(".py").strip("./").replace("/", ".")
        return f"give the module and not its file, as in {dotted}:{name or 'object'}"
    parts = [*module.split("."), *(name.split(".") if name else ())]
    return "" if all(part.isidentifier() for part in parts) else FORM


def _said(error: BaseException) -> str:
    """What an import raised, and in which line. What Python says of names speaks for itself."""
    text = message(error, 300) if isinstance(error, ImportError | AttributeError) else of_error(error, 300)
    text = re.sub(r" \((?:unknown location|[^()]*[\\/][^()]*)\)$", "", text)  # where on this disk the other module lies
    where = innermost(own_frames(error))
    return shadowing.as_written(f"{text}; in {where}" if where else text)


def _cure(error: BaseException, module: str) -> str:
    """What to do about a module that is not there; one that fails by itself says so itself."""
    if isinstance(error, ImportError) and shadowing.is_hiding(str(error.name)):
        name = shadowing.as_written(str(error.name)).partition(".")[0]
        return f"; the package {name} beside it hides bitbench's: rename yours where both are needed"
    if isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}."):
        return "; run it from the folder that holds the package or its src, or install the package"
    return ""


def _offer(module: str, name: str, names: Sequence[str]) -> str:
    """Those of `names` that are like `name`, or the first ones."""
    by_lower = {one.lower(): one for one in reversed(names)}
    close = [by_lower[one] for one in get_close_matches(name.lower(), by_lower, 1)]
    offered = close or names
    if len(offered) == 1:
        return f"; did you mean {module}:{offered[0]}?"
    return f"; it has {', '.join(f'{module}:{one}' for one in offered[:SHOWN])}" if offered else ""


def _own_names(place: ModuleType, fits: Callable[[object], bool]) -> list[str]:
    """Of what was made in the module and not imported into it."""
    return [
        name
        for name, value in vars(place).items()
        if not name.startswith("_") and getattr(value, "__module__", "") == place.__name__ and fits(value)
    ]


def _written(folder: Path, module: str) -> Iterator[str]:
    """Names of the classes of a module's source, or of its functions where it has none."""
    place = folder.joinpath(*module.split("."))
    source = next(
        (file for file in (place.with_name(f"{place.name}.py"), place / "__init__.py") if file.is_file()), None
    )
    if source is None or not module:
        return
    try:
        nodes = ast.parse(source.read_bytes()).body
    except (OSError, SyntaxError, ValueError):
        return  # it is no help; whoever imports it is told why
    classes = [node.name for node in nodes if isinstance(node, ast.ClassDef)]
    functions = [node.name for node in nodes if isinstance(node, ast.FunctionDef)]
    yield from (name for name in classes or functions if not name.startswith("_"))
