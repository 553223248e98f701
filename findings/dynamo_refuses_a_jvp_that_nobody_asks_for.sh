#!/usr/bin/env bash
# torch 2.13.0: torch.compile(fullgraph=True) raises for an autograd.Function that defines `jvp`, though only reverse mode
# is used; the same function without `jvp` compiles.
#
# Expected: a rule for forward mode is ignored where no forward mode is active, as it is in eager mode.
# Seen:     "Unsupported: Unsupported custom jvp" with it, the right gradient without it. Whoever makes a layer right in
#           forward mode makes it impossible to compile in one graph.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6
"$work/venv/bin/python" - <<'P'
import sys

import torch


class Double(torch.autograd.Function):
    @staticmethod
    def forward(x):
        return 2 * x

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, gradient):
        return 2 * gradient


class DoubleInBothModes(Double):
    @staticmethod
    def jvp(ctx, tangent):
        return 2 * tangent


def outcome(function):
    x = torch.ones(3, requires_grad=True)
    try:
        torch.compile(lambda x: function.apply(x), fullgraph=True, backend="eager")(x).sum().backward()
    except Exception as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0]}"
    return x.grad.tolist()


seen = {function.__name__: outcome(function) for function in (Double, DoubleInBothModes)}
print(f"torch {torch.__version__}: {seen}")
sys.exit(seen != {"Double": [2.0, 2.0, 2.0], "DoubleInBothModes": "Unsupported: Unsupported custom jvp"})
P
