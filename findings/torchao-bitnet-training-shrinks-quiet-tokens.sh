#!/usr/bin/env bash
# torchao's bitnet_training makes the output of a quiet token too small, and not only too coarse.
#
# Versions: torch 2.13.0, torchao 0.18.0 (torchao.prototype.quantized_training.bitnet_training), CPU.
# Behaviour: `quantize_int8_rowwise(input, eps=1e-5)` divides a token by max(max|x| / 127, 1e-5), and the product is
#   rescaled by max|x| / 127 without that minimum. A token whose peak is below 1.27e-3 loses in proportion: with a peak
#   of 1.27e-4 a tenth of the output is left.
# Expected: one and the same step on both ways, so that a smaller token has coarser codes and the right size:
#   y(x / 100) is about y(x) / 100, as far as a few bits allow.
# Seen: "peak 1.0 keeps 1.00, 1.27e-2 keeps 1.00, 1.27e-4 keeps 0.10 of the output"
#
# Exits with 0 while that is so, with 1 when it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 torchao==0.18.0

cd "$folder"
venv/bin/python - <<'PYTHON'
import logging
import sys

logging.disable(logging.WARNING)
import torch
from torchao.prototype.quantized_training import bitnet_training
from torchao.quantization import quantize_

torch.manual_seed(0)
linear = torch.nn.Linear(1024, 256, bias=False)
weight = linear.weight.detach()
scale = weight.abs().mean()
ternary = (weight / scale).round().clamp(-1, 1) * scale
model = torch.nn.Sequential(linear)
quantize_(model, bitnet_training())

x = torch.randn(16, 1024)
x = x / x.abs().amax(1, keepdim=True)
kept = {}
for peak in (1.0, 1.27e-2, 1.27e-4):
    with torch.no_grad():
        y, right = model(peak * x), peak * x @ ternary.T
    kept[peak] = float((y * right).sum() / right.square().sum())
print("peak 1.0 keeps {:.2f}, 1.27e-2 keeps {:.2f}, 1.27e-4 keeps {:.2f} of the output".format(*kept.values()))
loud, fair, quiet = kept.values()
sys.exit(not (abs(loud - 1) < 0.02 and abs(fair - 1) < 0.02 and abs(quiet - 0.1) < 0.03))
PYTHON
