"""training: a whole step, and whether its gradient still points where full precision points."""

from harness.model import Budget, Params
from harness.model.suite import Suite
from suites import axes


def facts(params: Params) -> Params:
    """What is known of a step: the operations of the forward product and of the two of the gradients, and the bytes.

    Input, output and their gradients move once. So do the weights, three times: they are read, their gradient is
    written, and they are written; `weight_passes` says so. What is trained is not packed, so there is no ideal.
    """
    forward = axes.facts(params)
    del forward["ideal_bytes"]
    operations, activations = int(forward["operations"]), int(forward["activation_bytes"])
    return {**forward, "operations": 3 * operations, "activation_bytes": 2 * activations, "weight_passes": 3}


SUITE = Suite(
    name="training",
    summary="forward, backward and optimiser step; gradient against the full-precision twin's",
    axes=(
        axes.shapes("2560x2560", full=axes.BITNET_2B4T + axes.LLAMA_3_8B),
        axes.tokens(128, full=(128, 512, 2048)),
        axes.schemes("w1a8", "w1.58a8", "w4a8"),
        axes.groups(),
        axes.dtypes("float32", full=("float32", "bfloat16")),
        axes.DEVICE,
        axes.threads(),
    ),
    metrics=(
        "latency",
        "first_call",
        "graphs",
        "graph_breaks",
        "prepare",
        "weight_bytes",
        "resident_bytes",
        "peak_forward_bytes",
        "peak_backward_bytes",
        "weight_gradient_cosine",
        "input_gradient_cosine",
    ),
    budget=Budget(rounds=6, seconds=2.0, precision=0.05),
    workload="suites.workloads.layer.training:Training",
    resolve=axes.resolve,
    facts=facts,
    baseline="linear-bf16",
    implementations=("linear-fp32", "linear-bf16", "reference", "compiled", "eager"),
)
