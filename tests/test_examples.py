"""README and docs are run as they stand there: code, classes to check, command lines, and what these print."""

import ast
import os
import re
import shlex
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import torch
from torch import nn

from bitlinear.conformance import INFORMATIVE, PROPERTIES
from bitlinear.conformance.check import check
from bitlinear.conformance.subject import Subject
from docs import generate
from harness.cli import bitbench, main
from suites.catalogue.factory import from_factory

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "results").glob("*.md"))]
PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHELL = re.compile(r"^```(?:bash|sh)?\n(.*?)^```", re.MULTILINE | re.DOTALL)
OUTPUT = re.compile(r"^(```(?:text)?\n\$ (bitbench [^|\n]+?)(?: \| head -(\d+))?\n)(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<!`)`(bitbench [^`]+)`(?!`)")
READS_RESULTS = re.compile(
    r"bitbench (show|compare|explain|baseline show) .*\bresults/(baselines|examples|experiments)/"
)
CHECKED = re.compile(r"bitbench check (\w+):(\w+)")


def blocks(document: Path) -> list[str]:
    return PYTHON.findall(document.read_text())


def of_the_reader(folder: Path) -> dict[str, object]:
    """What an example supposes to be there, beside what it makes itself."""
    (folder / "results" / "runs").mkdir(parents=True)
    (folder / "results" / "runs" / "mine").symlink_to(ROOT / "results" / "examples" / "quick")
    model = nn.Sequential(OrderedDict(body=nn.Linear(10, 20), lm_head=nn.Linear(20, 30)))
    return {"linear": nn.Linear(10, 20), "model": model, "x": torch.randn(3, 10), "run": "results/runs/mine"}


@pytest.mark.parametrize("document", [d for d in DOCUMENTS if blocks(d)], ids=lambda document: document.name)
def test_code_runs_from_top_to_bottom(document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = of_the_reader(tmp_path)
    for block in blocks(document):
        exec(compile(block, str(document), "exec"), names)


def classes() -> list[tuple[str, str, str]]:
    """Module, class and source of each class that a document tells its reader to check."""
    found = []
    for document in DOCUMENTS:
        for module, name in dict.fromkeys(CHECKED.findall(document.read_text())):
            (source,) = (block for block in blocks(document) if f"class {name}(" in block)
            found.append((module, name, source))
    return found


@pytest.fixture
def one_thread() -> Iterator[None]:
    """The layers are tiny: threads would only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_there_are_classes_to_check() -> None:
    assert {name for _, name, _ in classes()} >= {"Mine", "MyLinear"}


@pytest.mark.parametrize(("module", "name", "source"), classes(), ids=lambda text: text if text.isidentifier() else "")
def test_a_class_has_every_property(module: str, name: str, source: str, one_thread: None) -> None:
    """As `bitbench check` asks for them, at every scheme."""
    names: dict[str, Any] = {}
    exec(compile(source, module, "exec"), names)
    implementation = from_factory(names[name], f"{module}:{name}")
    asked = [one for one in PROPERTIES if one not in INFORMATIVE]
    assert {one: check(one, Subject(implementation)).fault for one in asked} == dict.fromkeys(asked, "")


def command_lines() -> list[str]:
    """Every whole line of a block that calls the program; drawings have lines that only begin like it."""
    lines = [
        line.strip()
        for document in DOCUMENTS
        for block in SHELL.findall(document.read_text())
        for line in block.replace("\\\n", " ").splitlines()
    ]
    return list(dict.fromkeys(line for line in lines if line.isascii() and line.startswith("bitbench ")))


@pytest.mark.parametrize("line", command_lines())
def test_a_command_line_is_understood(line: str) -> None:
    name, *words = shlex.split(line, comments=True)[1:]
    command = bitbench.get_command(click.Context(bitbench), name)
    assert command is not None
    command.make_context(name, words)


def ids(document: Path) -> str:
    return str(document.relative_to(ROOT))


@pytest.mark.parametrize("document", [d for d in DOCUMENTS if OUTPUT.search(d.read_text())], ids=ids)
def test_a_block_shows_what_its_command_prints(
    document: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)

    def with_output(block: re.Match[str]) -> str:
        first, command, most, _ = block.groups()
        assert main(shlex.split(command)[1:]) == 0
        lines = capsys.readouterr().out.splitlines(keepends=True)
        return f"{first}{''.join(lines[: int(most or len(lines))])}```"

    text = document.read_text()
    true = OUTPUT.sub(with_output, text)
    if os.environ.get("UPDATE_GOLDEN"):
        document.write_text(true)
        return
    assert true == text


def reading_commands() -> list[str]:
    """Commands, in blocks and in sentences, that read what is stored under `results`."""
    inline = {" ".join(found.split()) for document in DOCUMENTS for found in INLINE.findall(document.read_text())}
    return sorted(filter(READS_RESULTS.match, {*inline, *command_lines()}))


@pytest.mark.parametrize("command", reading_commands())
def test_a_command_on_stored_results_works(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert main(shlex.split(command, comments=True)[1:]) == 0


@pytest.mark.parametrize("name", generate.pages())
def test_a_reference_page_is_made_of_the_code(name: str) -> None:
    assert (generate.HERE / name).read_text() == generate.pages()[name], "make reference writes it anew"


def test_the_readme_has_no_wide_interval_and_fits_on_two_screens() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 120
    assert all(float(width) < 30 for width in re.findall(r"±\s*([\d.]+)\s*%", text))


BLOCK = re.compile(r"^```.*?^```|`[^`]*`", re.MULTILINE | re.DOTALL)
SENTENCE = re.compile(
    r"(?:^[#*\-|> ]*|[.!?:|] +\**)((?:What|Whatever|Who|Whoever|Whose|Where)\b[^.!?|]*[.!?|]?)", re.MULTILINE
)


@pytest.mark.parametrize("document", [d for d in DOCUMENTS if d.name not in generate.pages()], ids=ids)
def test_a_sentence_begins_with_its_subject(document: Path) -> None:
    sentences = SENTENCE.findall(BLOCK.sub("x", document.read_text()))
    assert not [one for one in sentences if not one.endswith("?")], "name the actor: a clause is a poor subject"


def strings(module: Path) -> list[str]:
    """Text that the program may print: every string that is no docstring."""
    tree = ast.parse(module.read_text())
    statements = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in statements
    ]


@pytest.mark.parametrize("package", ["bitlinear", "harness", "suites"])
def test_a_message_begins_with_its_subject(package: str) -> None:
    found = [
        sentence
        for module in (ROOT / package).rglob("*.py")
        for text in strings(module)
        for sentence in SENTENCE.findall(text)
        if " " in sentence and not sentence.endswith("?")
    ]
    assert not found, "name the actor: a clause is a poor subject"


def files_named(document: Path) -> set[str]:
    """Files of the repository that the document names; words in capitals stand for names of the reader's."""
    found = re.findall(
        r"(?<![\w/.~-])(?:bitlinear|harness|suites|tests|docs|results)/[\w./-]*\w\.(?:py|md|jsonl|toml|h|c)\b",
        document.read_text(),
    )
    return {name for name in found if not re.search(r"/[A-Z]+\.py|results/runs/", name)}


@pytest.mark.parametrize("document", [d for d in DOCUMENTS if files_named(d)], ids=ids)
def test_files_that_a_page_names_exist(document: Path) -> None:
    assert not [name for name in sorted(files_named(document)) if not (ROOT / name).exists()]
