"""Where the code that both sides tested comes from: from their checkouts, or the gate would compare it with itself."""

import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path

from harness.gate.checkouts import Checkout, Checkouts
from harness.gate.provenance import Provenance
from harness.model import Side
from harness.model.messages import Fingerprint
from harness.user_code.folders import within


class LoadedCode:
    """The modules that either side has loaded, as they are told."""

    def __init__(self, checkouts: Checkouts) -> None:
        self._provenance = Provenance(checkouts)
        self._below = checkouts.below
        self._repository = str(checkouts.repository)
        self._sides: Mapping[Side, Checkout] = {"base": checkouts.base, "head": checkouts.head}
        self._digests: dict[Side, dict[str, str]] = {side: {} for side in self._sides}
        self._seen: dict[Side, set[str]] = {side: set() for side in self._sides}

    def take_in(self, side: Side, modules: Mapping[str, str]) -> None:
        """Modules by name, each with its file.

        Raises UsageError for what the side should have had of its own checkout and took from elsewhere.
        """
        new = {name: file for name, file in modules.items() if file not in self._seen[side]}
        self._seen[side].update(new.values())
        if not new:
            return
        top = self._sides[side].root
        mine = {str(_path(file, top)): file for file in new.values() if within(file, str(top))}
        strays = sorted(file for file in new.values() if within(file, self._repository) and not within(file, str(top)))
        digests = {path: hashlib.sha256(Path(file).read_bytes()).hexdigest() for path, file in mine.items()}
        copies = self._copies(self._sides[side], new)
        self._provenance.take_in(side, Fingerprint(digests, tuple(strays), bool(mine), {}, copies, ()))
        self._digests[side].update(digests)
        self._provenance.loaded[side] = Fingerprint(dict(self._digests[side]), (), True, {}, {}, ())

    def notes(self) -> tuple[str, ...]:
        """As `Provenance.notes`."""
        return self._provenance.notes()

    def _copies(self, side: Checkout, modules: Mapping[str, str]) -> dict[str, str]:
        """The changed files of this side in place of which another was loaded: an installed copy of the module."""
        changed, copies = set(self._provenance.changed), {}
        for name, file in modules.items():
            if not Path(file).resolve().is_relative_to(side.root.resolve()) and not _is_standard(name):
                stem = name.replace(".", "/")
                for folder in side.folders(self._below):
                    for place in (Path(folder, f"{stem}.py"), Path(folder, stem, "__init__.py")):
                        path = str(place.relative_to(side.root))
                        if path in changed and place.exists():
                            copies[path] = file
        return copies


def _path(file: str, root: Path) -> Path:
    return Path(file).resolve().relative_to(root.resolve())


def _is_standard(name: str) -> bool:
    return name.partition(".")[0] in sys.stdlib_module_names
