"""The rules of the house, read from the source itself. A deliberate exception is an entry below, with its reason."""

import ast
import importlib.util
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from harness.model.suite import Registry

ROOT = Path(__file__).parent.parent
PACKAGES = ("bitlinear", "harness", "suites")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
ALL_PYTHON = SOURCES + sorted((ROOT / "tests").rglob("*.py"))
PROSE = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *ROOT.glob("results/*.md"),
        ROOT / "Makefile",
        ROOT / ".ci/run",
    ]
    + [path for package in PACKAGES for kind in ("html", "css", "js") for path in (ROOT / package).rglob(f"*.{kind}")]
)

MAY = {
    "bitlinear": "",
    "bitlinear.layouts": "bitlinear",
    "bitlinear.engines": "bitlinear bitlinear.layouts",
    "bitlinear.implementations": "bitlinear bitlinear.layouts bitlinear.engines",
    "bitlinear.peers": "bitlinear bitlinear.implementations",
    "bitlinear.models": "bitlinear bitlinear.engines bitlinear.implementations",
    "bitlinear.checkpoints": "bitlinear",
    "bitlinear.conformance": "bitlinear",
    "harness": "",
    "harness.errors": "",
    "harness.user_code": "harness.errors",
    "harness.estimators": "",
    "harness.model": "harness.errors harness.user_code harness.estimators",
    "harness.store": "harness.errors harness.user_code harness.model",
    "harness.store.importers": "harness.errors harness.model harness.store",
    "harness.analysis": "harness.model harness.estimators",
    "harness.machine": "harness.errors harness.model harness.store",
    "harness.worker": "harness.user_code harness.model harness.machine",
    "harness.runner": "harness.errors harness.user_code harness.model harness.estimators harness.store"
    " harness.analysis harness.machine",
    "harness.runner.fleet": "harness.errors harness.model harness.store harness.machine harness.runner",
    "harness.judge": "harness.errors harness.model harness.estimators harness.store harness.analysis",
    "harness.gate": "harness.errors harness.user_code harness.model harness.estimators harness.store harness.analysis"
    " harness.machine harness.runner harness.judge",
    "harness.frames": "harness.errors harness.model harness.estimators harness.store harness.analysis",
    "harness.show": "harness.errors harness.user_code harness.model harness.estimators harness.store harness.analysis"
    " harness.machine harness.judge harness.frames",
    "harness.show.exporters": "harness.errors harness.model harness.estimators harness.store harness.analysis",
    "harness.measure": "harness.model harness.estimators harness.analysis harness.runner harness.worker harness.show",
    "harness.pytest_plugin": "harness.user_code harness.model harness.runner harness.worker",
    "harness.public": "harness.errors harness.model harness.store harness.analysis harness.machine harness.runner"
    " harness.judge harness.show",
    "harness.commands": "harness.errors harness.model harness.estimators harness.store harness.analysis"
    " harness.machine harness.runner harness.runner.fleet harness.judge harness.gate harness.frames harness.show"
    " harness.store.importers harness.show.exporters",
    "harness.cli": "harness.errors harness.model harness.commands",
    "suites": "bitlinear harness.model harness.machine harness.runner harness.pytest_plugin suites.catalogue",
    "suites.catalogue": "bitlinear bitlinear.implementations bitlinear.peers harness.errors harness.user_code"
    " harness.model",
    "suites.models": "bitlinear bitlinear.checkpoints bitlinear.engines harness.errors harness.user_code harness.model",
    "suites.planning": "bitlinear harness.errors harness.model harness.store harness.analysis suites",
    "suites.special": "bitlinear bitlinear.conformance harness.model suites",
    "suites.device_check": "bitlinear bitlinear.conformance harness.errors harness.model harness.estimators"
    " harness.store harness.analysis harness.gate harness.show harness.commands harness.cli suites.special",
    "suites.workloads": "bitlinear bitlinear.conformance harness.errors harness.user_code harness.model harness.store"
    " harness.worker suites suites.catalogue suites.special",
}
"""Who may import whom. `harness` itself is above no part: it says where the packages lie."""
IMPORT_TORCH = ("bitlinear", "harness.worker", "suites.catalogue", "suites.models", "suites.workloads")
"""Nobody else may, so a command can load no contestant: none may import any of these."""

LAZY = ("bitlinear", "harness")
"""They fetch what they offer when it is asked for, so that nothing is imported with them."""

HIDE = {"harness": {"gate", "show"}}
"""What users call is worth more than what only we import: `harness.gate` is the function, however the package of that
name is imported (`harness._Face`), and code of ours names its modules in full."""

MOST_ENTRIES, MOST_MODULES = 20, 15
"""At the top of `harness`, and in any folder."""

SLOW_TO_IMPORT = ("torch", "pandas", "scipy", "matplotlib", "seaborn", "rich")

VAGUE_NAMES = {"utils", "util", "common", "base", "helpers", "helper", "misc"}
MAX_FILE, MAX_FUNCTION = 300, 60
LONG_FILES: dict[str, str] = {}
LONG_FUNCTIONS: dict[str, str] = {}
"""Name to reason, files as `harness/runner/controller.py`, functions as `harness/runner/controller.py:name`."""

UNFINISHED = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX)\b")
SILENCER = re.compile(r"#\s*(?:noqa\b(?::\s*[A-Z0-9, ]+)?|type:\s*ignore(?:\[[a-z, -]+\])?)")


def words_after_silencer(comment: str) -> list[str]:
    return re.findall(r"[A-Za-z]{2,}", SILENCER.sub("", comment))


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> set[str]:
    """Every module that the file imports, at any depth of nesting; names imported from a package count as modules."""
    names: set[str] = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import; the full name is easier to search for"
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
            names.add(str(node.module))
    return names


def top_level(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def comments(path: Path) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def where(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def test_bitlinear_and_harness_are_strangers() -> None:
    for path in SOURCES:
        package = path.relative_to(ROOT).parts[0]
        forbidden = set() if package == "suites" else set(PACKAGES) - {package}
        assert not top_level(imported(path)) & forbidden, where(path, 1)


def part_of(module: str) -> str:
    """The part that a module belongs to: the longest name of a part that it lies in."""
    return max((part for part in MAY if f"{module}.".startswith(f"{part}.")), key=len)


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_imports_follow_the_map(path: Path) -> None:
    here = part_of(module_name(path))
    names = imported(path) if path.name != "__init__.py" or here not in LAZY else set()
    there = {part_of(name) for name in names if name.partition(".")[0] in PACKAGES} - {here, "harness"}
    assert there <= {*MAY[here].split()}, f"{here} may not import {sorted(there - {*MAY[here].split()})}"
    assert "torch" not in top_level(names) or here.startswith(IMPORT_TORCH)


def test_folders_can_be_taken_in_at_a_glance() -> None:
    folders = [folder for package in PACKAGES for folder in (ROOT / package).rglob("*") if folder.is_dir()]
    modules = {str(folder.relative_to(ROOT)): len([*folder.glob("[!_]*.py")]) for folder in folders}
    assert {name: count for name, count in modules.items() if count > MOST_MODULES} == {}
    assert len([path for path in (ROOT / "harness").iterdir() if path.name != "__pycache__"]) <= MOST_ENTRIES


def test_the_command_line_starts_without_what_is_slow_to_import() -> None:
    code = f"import sys, harness.cli; print(*(name for name in {SLOW_TO_IMPORT} if name in sys.modules))"
    done = subprocess.run((sys.executable, "-c", code), cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def test_what_reads_a_run_imports_no_more_than_it_shows() -> None:
    """Tables need neither frames nor figures, and a page needs seaborn only once a heat map is drawn."""
    show = "from harness.cli import main; main(['show', 'results/examples/decode', '--metric', 'latency'])"
    for does, needless in ((show, "torch pandas matplotlib seaborn"), ("import harness.show.report", "torch seaborn")):
        code = (
            f"{does}; import sys; print(*(name for name in {needless.split()} if name in sys.modules), file=sys.stderr)"
        )
        done = subprocess.run((sys.executable, "-c", code), cwd=ROOT, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr.strip()) == (0, "")


@pytest.mark.parametrize("path", [path for path in SOURCES if path.name == "__init__.py"], ids=module_name)
def test_no_name_of_a_package_hides_one_of_its_modules(path: Path) -> None:
    """`harness.plots.memory` is the module, whether it is imported or looked up."""
    modules = {other.stem if other.is_file() else other.name for other in path.parent.iterdir()} - {"__init__"}
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.ImportFrom) and node.module != module_name(path):
            named = {alias.asname or alias.name for alias in node.names} - HIDE.get(module_name(path), set())
            assert not modules & named, where(path, node.lineno)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            assert node.name not in modules, where(path, node.lineno)


def test_suites_are_declared_without_torch() -> None:
    code = "import sys; sys.modules['torch'] = None; import suites; print(*(suite.name for suite in suites.SUITES))"
    done = subprocess.run((sys.executable, "-c", code), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "quick" in done.stdout.split()


def test_suites_measure_metrics_that_exist() -> None:
    from suites import SUITES

    assert len({suite.name for suite in SUITES}) == len(SUITES)
    known = Registry.load("suites").metrics
    for suite in SUITES:
        assert set(suite.metric_names) <= set(known), suite.name
        module, _, _ = suite.workload.partition(":")
        assert importlib.util.find_spec(module), f"{suite.name}: no module for {suite.workload}"


def test_no_test_imports_another() -> None:
    """One could not be moved, or run, without the other; they share `tests/harness/fakes`, `data` and fixtures."""
    tests = {module_name(path) for path in ALL_PYTHON if path.name.startswith("test_")}
    both = {module_name(path): imported(path) & tests for path in (ROOT / "tests").rglob("*.py")}
    assert {name: others for name, others in both.items() if others} == {}


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_modules_have_one_idea_and_a_size_to_match(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    assert not VAGUE_NAMES & set(module_name(path).split(".")), "name it after its one idea"
    lines = len(path.read_text().splitlines())
    assert (lines > MAX_FILE) == (name in LONG_FILES), f"{lines} lines"
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert (length > MAX_FUNCTION) == (f"{name}:{node.name}" in LONG_FUNCTIONS), f"{node.name}: {length} lines"


@pytest.mark.parametrize("path", [*ALL_PYTHON, *PROSE], ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_left_for_later(path: Path) -> None:
    found = [
        where(path, number) for number, line in enumerate(path.read_text().splitlines(), 1) if UNFINISHED.search(line)
    ]
    assert not found


def test_every_silenced_check_says_why() -> None:
    silent = [
        where(path, number)
        for path in ALL_PYTHON
        for number, comment in comments(path)
        if SILENCER.search(comment) and not words_after_silencer(comment)
    ]
    assert not silent


def test_every_broad_except_says_why() -> None:
    silent = []
    for path in SOURCES:
        said = {number for number, comment in comments(path) if words_after_silencer(comment)}
        handlers = (node for node in ast.walk(parsed(path)) if isinstance(node, ast.ExceptHandler))
        silent += [where(path, node.lineno) for node in handlers if is_broad(node) and node.lineno not in said]
    assert not silent


def is_broad(handler: ast.ExceptHandler) -> bool:
    caught = (
        {node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)} if handler.type else {"Exception"}
    )
    return bool(caught & {"Exception", "BaseException"})


def test_the_rules_see_what_they_forbid() -> None:
    assert len(words_after_silencer("# noqa: BLE001, E501")) == 0
    assert len(words_after_silencer("# type: ignore[no-any-return]  # torch says Any")) == 3
    (handler,) = (
        n for n in ast.walk(ast.parse("try: 1\nexcept (OSError, Exception): 2")) if isinstance(n, ast.ExceptHandler)
    )
    assert is_broad(handler)
