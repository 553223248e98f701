"""Classes of an installed package whose code reads the weight of a linear layer: the table of docs/models.md.

    python docs/experiments/models/readers.py FOLDER   # such as .../site-packages/transformers/models

Reads the sources and imports none of them. Only children that the class itself makes by a name with "Linear" count.
"""

import ast
import sys
from pathlib import Path

from bitlinear.models.readers import reads_of_class


def linear_children(cls: ast.ClassDef) -> set[str]:
    """Names on the left of `self.name = nn.Linear(...)` and the like."""
    names = set()
    for node in ast.walk(cls):
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Call)
            and "Linear" in ast.unparse(node.value.func)
        ):
            names |= {target.attr for target in node.targets if isinstance(target, ast.Attribute)}
    return names


def main(folder: Path) -> None:
    """One line a class: file, class, children."""
    for file in sorted(folder.rglob("*.py")):
        for cls in ast.walk(ast.parse(file.read_text())):
            if isinstance(cls, ast.ClassDef) and (read := linear_children(cls) & reads_of_class(cls).keys()):
                print(f"{file.relative_to(folder)}: {cls.name}: {', '.join(sorted(read))}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
