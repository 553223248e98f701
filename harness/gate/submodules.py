"""Repositories within a repository: submodules, and whatever else it records by a commit alone.

Git leaves their folders empty in a worktree. Here they are filled from what lies on this disk: nothing is fetched, and
the repositories that it comes from are only read.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UsageError
from harness.machine import git

MODULES = ".gitmodules"
GITLINK = "160000"
"""The mode of an entry that is a commit of another repository."""


@dataclass(frozen=True)
class Origin:
    """Where the contents of a repository come from."""

    tree: Path | None
    """Its folder in the user's working tree; None where it is not there any more, and git has kept it."""
    stores: tuple[Path, ...]
    """Folders of git that may hold its objects, and those of the repositories in it."""

    @classmethod
    def of(cls, folder: Path, kept: tuple[Path, ...] = ()) -> "Origin":
        """That of a working tree in `folder`, and what is kept elsewhere; without any store, nothing is known of it."""
        stores = []
        if is_top(folder):
            for which in ("--git-dir", "--git-common-dir"):
                asked = ("rev-parse", "--path-format=absolute", which)
                stores.append(Path(git.ask(folder, *asked, why="is in no git repository").rstrip("\n")))
        return cls(folder if stores else None, (*stores, *kept))

    def within(self, link: "Link", name: str) -> "Origin":
        """That of a repository in this one; `name` is what .gitmodules calls it, empty where it does not."""
        kept = tuple(store / "modules" / name for store in self.stores if name and ".." not in Path(name).parts)
        stores = tuple(store for store in kept if (store / "objects").is_dir())
        return Origin.of(self.tree / link.path, stores) if self.tree else Origin(None, stores)

    @property
    def objects(self) -> list[Path]:
        """The folders of objects."""
        return list(dict.fromkeys(store / "objects" for store in self.stores if (store / "objects").is_dir()))


@dataclass(frozen=True)
class Link:
    """A commit of another repository, recorded in place of a folder."""

    path: str
    commit: str


@dataclass(frozen=True)
class Nested:
    """A link that was followed, or found to lead nowhere."""

    path: str
    """From the outermost repository."""
    commit: str
    root: Path
    """Where it is checked out."""
    origin: Origin


def is_top(folder: Path) -> bool:
    """Whether a repository has its working tree in `folder`, and not around it."""
    if not (folder / ".git").exists():
        return False
    done = git.start(folder, ("rev-parse", "--show-cdup"))
    return done.returncode == 0 and not done.stdout.strip()


def links(repository: Path, commit: str) -> list[Link]:
    """The links in a commit."""
    listed = git.parts(git.ask(repository, "ls-tree", "-r", "-z", "--full-tree", commit, why="cannot be read"))
    entries = (entry.partition("\t") for entry in listed)
    return [Link(path, about.split()[2]) for about, _, path in entries if about.startswith(GITLINK)]


def check_out(side: str, root: Path, commit: str, origin: Origin, above: str = "") -> Iterator[Nested]:
    """Fill the folders of all links in `commit`, which is checked out in `root`, and of those in them.

    One whose repository is not on this disk stays empty, as it is in the working tree; then it has no store. Raises
    UsageError that names `side` where the repository is there and the commit is not.
    """
    found = links(root, commit)
    names = _names(root, commit) if found else {}
    for link in found:
        inner, path = origin.within(link, names.get(link.path, "")), above + link.path
        nested = Nested(path, link.commit, root / link.path, inner)
        if inner.objects:
            _fill(side, nested)
            yield nested
            yield from check_out(side, nested.root, link.commit, inner, f"{path}/")
        else:
            yield nested


def _fill(side: str, nested: Nested) -> None:
    """Check it out as a repository of its own that borrows objects: what a build does to it reaches nobody else."""
    nested.root.mkdir(parents=True, exist_ok=True)
    why = "cannot be made a repository"
    form = "sha256" if len(nested.commit) == 64 else "sha1"
    git.ask(nested.root, "init", "--quiet", "--template=", f"--object-format={form}", why=why)
    folder = nested.root / ".git"
    borrowed = "".join(f"{place}\n" for place in nested.origin.objects)
    (folder / "objects" / "info").mkdir(parents=True, exist_ok=True)
    (folder / "objects" / "info" / "alternates").write_text(borrowed, errors="surrogateescape")
    shallow = [text for store in nested.origin.stores if (text := _text(store / "shallow"))]
    if shallow:
        (folder / "shallow").write_text("".join(shallow))
    if git.start(nested.root, ("cat-file", "-e", f"{nested.commit}^{{commit}}")).returncode:
        raise UsageError(
            f"{side} needs commit {nested.commit[:12]} of the repository in {nested.path}, which is not on this disk:"
            f" fetch it there (git fetch origin {nested.commit}), and gate again"
        )
    git.ask(nested.root, "checkout", "--quiet", "--detach", nested.commit, why="cannot be checked out")


def _names(repository: Path, commit: str) -> dict[str, str]:
    """What .gitmodules calls the submodules, by their paths."""
    asked = ("config", "--blob", f"{commit}:{MODULES}", "-z", "--get-regexp", r"^submodule\..*\.path$")
    entries = (entry.partition("\n") for entry in git.parts(git.start(repository, asked).stdout))
    return {path: key.removeprefix("submodule.").removesuffix(".path") for key, _, path in entries}


def _text(path: Path) -> str:
    return path.read_text() if path.is_file() else ""
