"""How many rooms, floors and arrows the house has: `python docs/experiments/house/figures.py [REVISION ...]`.

A room is a part of `harness` (a folder or a module at its top), an arrow an import from one room into another. A room
stands one floor above the highest that it imports; imports in a circle share a floor. Without a revision the files as
they lie here are read. Nothing is imported or run. `walks.py` has the walks: how many modules a reader visits.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]


def sources(revision: str) -> Iterator[tuple[str, str]]:
    """Path and text of every module of `harness`."""
    if not revision:
        yield from ((str(path.relative_to(ROOT)), path.read_text()) for path in (ROOT / "harness").rglob("*.py"))
        return
    git = ("git", "-C", str(ROOT))
    listed = subprocess.run((*git, "ls-tree", "-r", "--name-only", revision, "harness"), capture_output=True, text=True)
    for path in listed.stdout.split():
        if path.endswith(".py"):
            shown = subprocess.run((*git, "show", f"{revision}:{path}"), capture_output=True, text=True, check=True)
            yield path, shown.stdout


def name_of(path: str) -> str:
    """The module in a file."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def imports(text: str, modules: set[str]) -> Iterator[str]:
    """The modules that the text imports; of `from package import name` the innermost that is one."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in modules else str(node.module)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def room(module: str) -> str:
    """`harness.store.runs` lies in `store`."""
    return [*module.split("."), ""][1]


def floors(arrows: set[tuple[str, str]]) -> dict[str, int]:
    """The floor of every room, from 1; the rooms of a circle stand on one."""
    below: dict[str, set[str]] = {}
    for above, under in arrows:
        below.setdefault(above, set()).add(under)
        below.setdefault(under, set())
    reach = {one: reached(one, below) for one in below}
    found: dict[str, int] = {}

    def floor(one: str) -> int:
        if one not in found:
            circle = {other for other in reach[one] if one in reach[other]} | {one}
            under = {other for member in circle for other in below[member]} - circle
            found.update(dict.fromkeys(circle, 1 + max(map(floor, under), default=0)))
        return found[one]

    for one in below:
        floor(one)
    return found


def reached(one: str, below: dict[str, set[str]]) -> set[str]:
    """All that a room imports, and what that imports, and so on."""
    seen: set[str] = set()
    waiting = [*below[one]]
    while waiting:
        if (other := waiting.pop()) not in seen:
            seen.add(other)
            waiting += below[other]
    return seen


def figures(revision: str) -> str:
    """One line."""
    texts = {name_of(path): (path, text) for path, text in sources(revision)}
    arrows = {
        (room(module), room(there))
        for module, (_, text) in texts.items()
        for there in imports(text, {*texts})
        if there.startswith("harness.") and room(there) != room(module) and room(module)
    }
    top = {path.split("/")[1] for path, _ in texts.values()}
    folders: dict[str, int] = {}
    for path, _ in texts.values():
        folder, _, file = path.rpartition("/")
        folders[folder] = folders.get(folder, 0) + (file != "__init__.py")
    largest = max(folders, key=lambda folder: folders[folder])
    rooms = {room(module) for module in texts} - {""}
    return (
        f"{revision or 'here':10}  {len(top)} entries at the top, {len(rooms)} rooms, {len(arrows)} arrows,"
        f" {max(floors(arrows).values())} floors, {folders[largest]} modules in {largest}"
    )


if __name__ == "__main__":
    for given in sys.argv[1:] or [""]:
        print(figures(given))
