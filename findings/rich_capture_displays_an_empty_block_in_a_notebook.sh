#!/usr/bin/env bash
# rich 15.0.0 in a notebook (ipykernel 7.4.0, nbclient 0.11.0): text that `Console.capture()` takes still makes an output
# of the cell, one for every capture.
#
# Expected: what is captured is returned by `capture.get()` and nothing is shown, as on a terminal.
# Seen:     the text is returned, and the cell has an output of its own besides, a `<pre>` block without content. A
#           library whose `__repr__` renders a table by rich adds an empty line above what the notebook shows of the
#           object. `Console(force_jupyter=False)` does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet rich==15.0.0 ipykernel==7.4.0 nbclient==0.11.0 nbformat==5.11.1
"$work/venv/bin/python" - <<'P'
import sys

import nbclient
import nbformat
from nbformat.v4 import new_code_cell, new_notebook

CELL = """
from rich.console import Console

console = Console({})
with console.capture() as capture:
    console.print("a table")
text = capture.get()
assert text == "a table\\n"
"""


def outputs(arguments):
    notebook = new_notebook(cells=[new_code_cell(CELL.format(arguments))])
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    return [output.get("data", {}).get("text/html", "") for output in notebook.cells[0].outputs]


default, plain = outputs(""), outputs("force_jupyter=False")
print(f"nbformat {nbformat.__version__}: default {default}, force_jupyter=False {plain}")
sys.exit(not (len(default) == 1 and default[0].endswith("></pre>\n") and plain == []))
P
