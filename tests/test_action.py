"""The action and the workflows of docs/how-to/ci.md: they parse, ask for few rights, and take no text for a command."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.show.ci.pull_request import MARKER

ROOT = Path(__file__).parent.parent
ACTION = (ROOT / "action.yml").read_text()
PAGE = (ROOT / "docs" / "how-to" / "ci.md").read_text()
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
OUTPUTS = {"exit-code", "verdict", "headline", "regressed", "directory"}


def parsed(text: str) -> Any:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed, and these files need it only here")
    return yaml.safe_load(text)


def scripts(node: object) -> Iterator[str]:
    """The shell scripts anywhere in `node`."""
    if isinstance(node, dict):
        if isinstance(node.get("run"), str):
            yield node["run"]
        for value in node.values():
            yield from scripts(value)
    elif isinstance(node, list):
        for value in node:
            yield from scripts(value)


def test_no_expression_reaches_a_shell_even_where_nothing_parses_yaml() -> None:
    for text in (ACTION, *EXAMPLES):
        for block in re.findall(r"^( *)(?:- )?run: (.*\n(?:\1  .*\n|\n)*)", text, re.MULTILINE):
            assert "${{" not in block[1].partition("\n" + block[0] + "env:")[0]


def test_the_action_gives_what_the_gate_writes() -> None:
    action = parsed(ACTION)
    assert set(action["inputs"]) == {"base", "suites", "arguments", "policy", "python"}
    assert {name: value["value"] for name, value in action["outputs"].items()} == {
        name: f"${{{{ steps.gate.outputs.{name} }}}}" for name in OUTPUTS
    }
    assert [step["id"] for step in action["runs"]["steps"] if "id" in step] == ["gate"]


def test_scripts_are_shell_without_expressions() -> None:
    for text in (ACTION, *EXAMPLES):
        for script in scripts(parsed(text)):
            assert "${{" not in script
            done = subprocess.run(("bash", "-n", "-c", script), capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr


def test_arguments_keep_their_quotes_and_run_nothing(tmp_path: Path) -> None:
    (tmp_path / "python").write_text(
        '#!/bin/bash\nif [ "$2" = -c ]; then exec python3 "$@"; fi\nprintf "%s\\n" "$@" > "$RUNNER_TEMP/given"\n'
    )
    (tmp_path / "python").chmod(0o755)
    script = next(script for script in scripts(parsed(ACTION)) if "gate --base" in script)
    environment = {
        "PATH": "/usr/bin:/bin",
        "RUNNER_TEMP": str(tmp_path),
        "PYTHON": str(tmp_path / "python"),
        "BASE": "$(touch ran)",
        "POLICY": "pr",
        "WORDS": "gate -k 'm=1 and not fp16' $(touch${IFS}ran) `touch` ; *",
    }
    command = ("bash", "-eo", "pipefail", "-c", script)
    subprocess.run(command, env=environment, cwd=tmp_path, check=True)
    given = (tmp_path / "given").read_text().splitlines()
    assert given[:7] == ["-P", "-m", "harness.cli", "gate", "--base", "$(touch ran)", "--policy"]
    assert given[10:] == ["gate", "-k", "m=1 and not fp16", "$(touch${IFS}ran)", "`touch`", ";", "*"]
    assert not (tmp_path / "ran").exists()
    unbalanced = subprocess.run(command, env={**environment, "WORDS": "'"}, capture_output=True, check=False)
    assert unbalanced.returncode != 0


def test_only_the_workflow_that_comments_may_write_and_it_checks_nothing_out() -> None:
    gate, comment, gitlab = (parsed(text) for text in EXAMPLES)
    assert gate["permissions"] == {"contents": "read"}
    assert "permissions" not in gate["jobs"]["gate"]
    assert comment["permissions"] == {}
    assert comment["jobs"]["comment"]["permissions"] == {"actions": "read", "pull-requests": "write"}
    assert "actions/checkout" not in EXAMPLES[1]
    assert EXAMPLES[1].count(MARKER) == 2
    assert gitlab["gate"]["artifacts"]["reports"]["junit"] == "gate/junit.xml"
