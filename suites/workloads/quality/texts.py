"""Texts that are there without a download: running text for causal models, terms and definitions for encoders."""

import gzip
import importlib
import inspect
import re
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path

from suites.whole.quality import PLACES

PACKAGES = {"handbook": "debian-handbook", "foldoc": "dict-foldoc", "wordnet": "wordnet-base"}
RUNNING, PAIRED = ("python", "handbook"), ("python", "foldoc", "wordnet")
DESCRIBED = (
    "base64 bisect builtins calendar codecs collections configparser copy csv datetime decimal difflib email.utils"
    " fnmatch fractions functools glob gzip hashlib heapq html http.client imaplib inspect io itertools json locale"
    " logging mailbox math mimetypes operator os pathlib pickle platform plistlib pprint queue random re sched secrets"
    " shelve shlex shutil signal smtplib socket sqlite3 ssl stat statistics string struct subprocess tarfile tempfile"
    " textwrap threading time tokenize traceback types unicodedata urllib.parse uuid warnings wave weakref zipfile zlib"
)
"""Modules of the standard library whose functions and classes are terms, and their docstrings definitions."""
SHORTEST = 40
"""Characters of a definition."""


class TextError(ValueError):
    """A text that is not there, is too short, or is of the other kind; one sentence with the cure."""


def why_not(text: str, *, paired: bool) -> str:
    """Why `text` cannot serve a model here: an encoder wants pairs of terms and definitions. Empty where it can."""
    suitable = PAIRED if paired else RUNNING
    if text in RUNNING + PAIRED and text not in suitable:
        kind = "terms and definitions, for an encoder" if text in PAIRED else "running text, for a causal model"
        return f"text={text} is {kind}; choose {', '.join(suitable)} or a file"
    if text not in PLACES or PLACES[text].exists():
        return ""
    return f"not measured: text={text} is not here; apt install {PACKAGES[text]}"


def running(text: str) -> str:
    """The running text of a name or of a file in UTF-8."""
    match text:
        case "python":
            from pydoc_data.topics import topics

            return "\n\n".join(topics[name] for name in sorted(topics))
        case "handbook":
            return "\n\n".join(_visible(page.read_text("utf-8")) for page in sorted(PLACES["handbook"].glob("*.html")))
    return _read(text)


def pairs(text: str, count: int) -> list[tuple[str, str]]:
    """`count` terms with their definitions, evenly spread over a name or a file of lines "term TAB definition".

    No term and no definition comes twice. Raises TextError where there are fewer.
    """
    match text:
        case "python":
            found = _docstrings()
        case "foldoc":
            found = _foldoc(gzip.decompress(PLACES["foldoc"].read_bytes()).decode("utf-8", "replace"))
        case "wordnet":
            found = _glosses(PLACES["wordnet"].read_text("utf-8").splitlines())
        case _:
            found = _lines(text)
    unique = _unique(found)
    if len(unique) < count:
        raise TextError(f"text={text} has {len(unique)} terms with a definition, and {count} are asked for")
    return [unique[number * len(unique) // count] for number in range(count)]


def windows(text: str, count: int, characters: int) -> list[str]:
    """`count` pieces of at most `characters`, evenly spread, none overlapping; each begins at a line or a word.

    Raises TextError where the text is too short for that.
    """
    step = len(text) // count
    pieces = []
    for start in range(0, step * count, step or 1):
        piece = text[start : start + min(characters, step)]
        after = piece.find("\n") if "\n" in piece[: len(piece) // 4] else piece.find(" ")
        pieces.append(piece[after + 1 :] if start else piece)
    if len(pieces) < count:
        raise TextError(f"the text has {len(text)} characters, too few for {count} documents")
    return pieces


def _read(text: str) -> str:
    try:
        return Path(text).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TextError(f"text={text} cannot be read: {error}") from error


def _lines(text: str) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(_read(text).splitlines(), 1):
        term, tab, definition = line.partition("\t")
        if not tab:
            raise TextError(f"{text}:{number} has no tab; write a term, a tab and its definition in each line")
        yield term.strip(), definition.strip()


def _unique(found: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    by_term: dict[str, str] = {}
    seen: set[str] = set()
    for term, definition in found:
        if term and definition and term not in by_term and definition not in seen:
            by_term[term] = definition
            seen.add(definition)
    return list(by_term.items())


def _docstrings() -> Iterator[tuple[str, str]]:
    for module in DESCRIBED.split():
        for name, member in sorted(vars(importlib.import_module(module)).items()):
            if name.startswith("_") or not callable(member) or getattr(member, "__module__", module) != module:
                continue
            first = " ".join((inspect.getdoc(member) or "").split("\n\n")[0].split())
            if len(first) >= SHORTEST and "(" not in first.split()[0] and "->" not in first:
                yield f"{module} {name}".removeprefix("builtins ").replace("_", " "), first


def _foldoc(text: str) -> Iterator[tuple[str, str]]:
    """A term begins at the margin; its definition is the first indented paragraph, without its marks."""
    for entry in re.split(r"\n(?=\S)", text):
        term, _, rest = entry.partition("\n")
        paragraph = " ".join(rest.strip().split("\n\n")[0].split())
        definition = re.sub(r"[{}]", "", re.sub(r"<[^>]*>|\([A-Z][^)]*\)", "", paragraph)).strip()
        if len(definition) >= SHORTEST:
            yield term.strip(), definition


def _glosses(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        left, bar, gloss = line.partition(" | ")
        definition = gloss.split(";")[0].strip()
        if bar and len(definition) >= SHORTEST:
            yield left.split()[4].replace("_", " "), definition


class _Visible(HTMLParser):
    """Collects text that a reader of a page sees."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._hidden += tag in ("script", "style", "head")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("script", "style", "head")
        if tag in ("p", "li", "div", "h1", "h2", "h3", "h4", "pre", "tr"):
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(data)


def _visible(page: str) -> str:
    parser = _Visible()
    parser.feed(page)
    lines = (" ".join(line.split()) for line in "".join(parser.parts).splitlines())
    return "\n".join(line for line in lines if line)
