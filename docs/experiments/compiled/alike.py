"""What compiling a second layer of the same shape takes: `python docs/experiments/compiled/alike.py`.

Prints the milliseconds that building and the first call take, of four layers of one shape and one of another.
"""

import time

import torch

from bitlinear.implementations import IMPLEMENTATIONS
from bitlinear.layer import BitLinear

if __name__ == "__main__":
    (compiled,) = (one for one in IMPLEMENTATIONS if one.name == "compiled")
    kept = []
    with torch.inference_mode():
        for features in (2560, 2560, 2560, 2560, 1280):
            layer, x = BitLinear(features, 2560), torch.randn(1, features)
            start = time.perf_counter()
            op = compiled.build(layer)
            built = time.perf_counter()
            op(x)
            called = time.perf_counter()
            print(f"{features} x 2560: build {1e3 * (built - start):.1f}, first call {1e3 * (called - built):.1f} ms")
            kept.append(op)  # compiled code goes with the last op that runs it
