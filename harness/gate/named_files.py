"""Files that loaded code names and does not find in its checkout, and that the working tree has: a table, a library.

Code that goes on without such a file is measured without it, and says nothing.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

NAME = re.compile(r"(?:[\w.-]+/)*[\w-][\w.-]*\.\w+")
"""A file with an ending, by itself or below a folder."""
LONGEST = 200
"""Characters of a text that may be the name of a file."""


def missing(loaded: Iterable[str], root: Path, tree: Path) -> Iterator[str]:
    """Paths of files that are in the working `tree` and not in the checkout in `root`, and that text in code names.

    `loaded` are paths in both. A name is looked for beside the code and in every folder around it.
    """
    for source in loaded:
        if source.endswith(".py") and (root / source).is_file():
            for name in _names((root / source).read_bytes()):
                for folder in Path(source).parents:
                    file = folder / name
                    if not (root / file).exists() and (tree / file).is_file():
                        yield str(file)


def _names(code: bytes) -> set[str]:
    try:
        nodes = ast.walk(ast.parse(code))
        texts = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    except (SyntaxError, ValueError):  # it was loaded, by another Python's rules or none of ours
        return set()
    return {text for text in texts if len(text) <= LONGEST and NAME.fullmatch(text) and ".." not in text}
