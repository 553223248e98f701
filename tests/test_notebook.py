"""The notebook of the docs, run from top to bottom by a kernel of its own as a reader would."""

from pathlib import Path
from typing import Any

import pytest

nbclient = pytest.importorskip("nbclient", reason="nbclient and ipykernel, which run notebooks, are not installed")
nbformat = pytest.importorskip("nbformat", reason="nbclient and ipykernel, which run notebooks, are not installed")
(NOTEBOOK,) = (Path(__file__).parents[1] / "docs").rglob("from-run-to-decision.ipynb")
QUICKLY = """
import sys
from dataclasses import replace
from functools import partial

import harness
import suites
from harness.model import Budget
from harness.runner import process
from tests.harness.fakes.forked_workers import FORKING

(quick,) = (suite for suite in suites.SUITES if suite.name == "quick")
suites.SUITES = (replace(quick, budget=Budget(rounds=3, seconds=0.05)),)
harness.run = partial(harness.run, threads=1)
if sys.platform == "linux":
    process.subprocess = FORKING
"""
"""A cell before the reader's first: nobody reads the numbers, which need neither time nor threads."""


def outputs(cells: list[Any], kind: str) -> list[str]:
    """Of all cells, what is shown as `kind`, or printed for "stream"."""
    shown = [output for cell in cells if cell.cell_type == "code" for output in cell.outputs]
    if kind == "stream":
        return [output.text for output in shown if output.output_type == "stream"]
    return [output.data[kind] for output in shown if kind in output.get("data", {})]


def test_it_leads_from_a_run_to_a_figure_to_a_decision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(NOTEBOOK.parents[1]))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "it is kept without what one machine printed"
    notebook.cells.insert(0, nbformat.v4.new_code_cell(QUICKLY))
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    tables = outputs(notebook.cells, "text/html")
    assert len(tables) == 3
    assert "int8" in tables[0]
    assert "speedup_linear-fp32" in tables[1]
    assert "ok (exit code 0)" in tables[2]
    assert len(outputs(notebook.cells, "image/png")) == 1
    assert outputs(notebook.cells, "text/plain")[-1] == "0"
    assert len(list((tmp_path / "results" / "runs").glob("*/run.jsonl"))) == 2
    assert "round 1, 0% done" in "".join(outputs(notebook.cells, "stream"))
