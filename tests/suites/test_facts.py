"""What suites declare of the work of known layers: counted by hand, and growing as the layers do."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.model import Case, Params
from suites import axes, training
from suites.workloads.layer.forward import Forward

POINT: Params = {"n": 2560, "k": 2560, "m": 1, "scheme": "w1.58a8", "dtype": "float32", "device": "cpu", "threads": 1}
SIZES = st.integers(1, 512)


def facts(**changes: int | str) -> Params:
    return axes.facts({**POINT, **changes})


def test_a_square_layer_of_one_token() -> None:
    told = facts()
    assert told["operations"] == 2 * 2560 * 2560 == 13_107_200
    assert told["activation_bytes"] == 4 * (2560 + 2560) == 20_480
    assert told["ideal_bytes"] == 2560 * 2560 * 1.58 // 8 + 20_480


def test_a_prefill_in_half_precision() -> None:
    told = facts(n=6912, m=128, dtype="bfloat16")
    assert told["operations"] == 2 * 128 * 6912 * 2560
    assert told["activation_bytes"] == 2 * 128 * (2560 + 6912)


@given(SIZES, SIZES, SIZES)
def test_doubling_the_work_doubles_the_numbers(m: int, k: int, n: int) -> None:
    once, tokens, outputs = (facts(m=m, k=k, n=n), facts(m=2 * m, k=k, n=n), facts(m=m, k=k, n=2 * n))
    assert tokens["operations"] == outputs["operations"] == 2 * int(once["operations"])
    assert tokens["activation_bytes"] == 2 * int(once["activation_bytes"])
    assert int(outputs["activation_bytes"]) - int(once["activation_bytes"]) == 4 * m * n


def test_a_training_step_is_three_products_and_moves_weights_and_activations_again() -> None:
    told, forward = training.facts({**POINT, "m": 128}), facts(m=128)
    assert told["operations"] == 3 * int(forward["operations"])
    assert told["activation_bytes"] == 2 * int(forward["activation_bytes"])
    assert told["weight_passes"] == 3


@pytest.mark.parametrize(("name", "bytes_each"), [("linear-fp32", 4), ("linear-bf16", 2), ("int8", 1)])
def test_operations_and_stored_bytes_are_those_of_the_layer(name: str, bytes_each: int) -> None:
    """Torch's own count of the operations of the call that is timed, and the bytes of the weights that it holds."""
    from torch.utils.flop_counter import FlopCounterMode

    params = {**POINT, "n": 96, "k": 64, "m": 8}
    workload = Forward(Case.of("quick", name, params), seed=0)
    with workload.context():
        prepared = workload.build()
        stored = prepared.stored()["weight_bytes"]
        with FlopCounterMode(display=False) as counter:
            output = prepared()
    assert isinstance(output, torch.Tensor)
    assert 96 * 64 * bytes_each <= stored <= 96 * 64 * bytes_each + 4 * 96 + 64
    told = axes.facts(params)
    assert told["activation_bytes"] == 4 * 8 * 64 + output.nbytes
    assert told["output_bytes"] == output.nbytes
    if name != "int8":  # torch does not count integer products
        assert counter.get_total_flops() == told["operations"] == 2 * 8 * 96 * 64
