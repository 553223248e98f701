#!/usr/bin/env bash
# torch 2.13.0: FlopCounterMode counts nothing for torch._int_mm, the int8 matrix product.
#
# Expected: 2 * M * N * K = 98304 operations, as for torch.mm of the same sizes; or a word that an operator is unknown.
# Seen:     mm 98304, _int_mm 0, and no word. The totals of an int8 model are those of its float rest.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6
"$work/venv/bin/python" - <<'P'
import sys

import torch
from torch.utils.flop_counter import FlopCounterMode

a, b = torch.ones(32, 64, dtype=torch.int8), torch.ones(64, 24, dtype=torch.int8)
counts = {}
for name, product in {"mm": lambda: torch.mm(a.float(), b.float()), "_int_mm": lambda: torch._int_mm(a, b)}.items():
    with FlopCounterMode(display=False) as counter:
        product()
    counts[name] = counter.get_total_flops()
print(f"torch {torch.__version__}: {counts}")
sys.exit(counts != {"mm": 2 * 32 * 64 * 24, "_int_mm": 0})
P
