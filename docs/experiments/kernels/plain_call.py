"""What one call takes in a checkout, one token on two threads: to hold two revisions against each other, in turns.

    python -P docs/experiments/kernels/plain_call.py FOLDER   # a checkout of either revision, several times each

Prints the median of seven samples a contestant and size, in microseconds.
"""

import statistics
import sys
import time

SIZES = {64: 3000, 640: 1000, 2560: 200}
"""Features, in and out, and calls in a sample."""


def main(folder: str) -> None:
    """One line: contestant-size=us."""
    sys.path.insert(0, folder)
    import torch

    from bitlinear import IMPLEMENTATIONS, BitLinear

    torch.set_num_threads(2)
    by_name = {one.name: one for one in IMPLEMENTATIONS}
    for name in ("native", "eager", "int8"):
        for features, calls in SIZES.items():
            torch.manual_seed(0)
            op, x = by_name[name].build(BitLinear(features, features, weight_bits=1.58)), torch.randn(1, features)
            samples = []
            with torch.inference_mode():
                for _ in range(8):
                    start = time.perf_counter()
                    for _ in range(calls):
                        op(x)
                    samples.append((time.perf_counter() - start) / calls * 1e6)
            print(f"{name}-{features}={statistics.median(samples[1:]):.2f}", end=" ", flush=True)
    print()


if __name__ == "__main__":
    main(sys.argv[1])
