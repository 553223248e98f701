"""Where the code of users lies: the folders that it is imported from, and those of installed packages."""

from functools import cache
from pathlib import Path

INSTALLED = frozenset({"site-packages", "dist-packages"})


def folders(here: Path) -> tuple[str, ...]:
    """Where packages are searched for that belong to a command given in `here`: in `src` there, then in `here`."""
    return tuple(str(place) for place in (here / "src", here) if place.is_dir())


def within(path: str, folder: str) -> bool:
    """Whether `path` belongs to the checkout in `folder`, and not to a virtual environment in it."""
    if not folder or not Path(path).is_absolute():
        return False
    resolved = _resolved(path)
    return resolved.is_relative_to(_resolved(folder)) and not INSTALLED & set(resolved.parts)


@cache
def _resolved(path: str) -> Path:
    """Thousands of modules are asked for again whenever a worker has built a contestant."""
    return Path(path).resolve()
