"""error: the quantisation error of schemes beside what theory predicts. It is the scheme's, so one contestant."""

from bitlinear.scheme import Scheme
from harness.model import Budget, Params
from harness.model.suite import Suite
from suites import axes
from suites.metrics import ACCURACY


def facts(params: Params) -> Params:
    """What is known before it runs, the predicted SQNR of the output included, and how far off it may be, in dB."""
    # Imported here, so that the other suites can be measured of a revision that does not promise this yet.
    from bitlinear.theory import predict_sqnr, prediction_tolerance

    scheme, distribution = Scheme.parse(str(params["scheme"])), str(params["distribution"])
    m, k, n = (int(params[name]) for name in "mkn")
    return {
        **axes.facts(params),
        "predicted_sqnr": predict_sqnr(scheme, distribution, k),
        "prediction_tolerance": prediction_tolerance(scheme, distribution, k, n, m),
    }


SUITE = Suite(
    name="error",
    summary="quantisation error over bits, groups and distributions, measured and predicted; exact",
    axes=(
        axes.shapes("640x2560", full=("640x2560", "2560x2560", "6912x2560", "4096x4096")),
        axes.tokens(512),  # one outlier channel carries most of an output: fewer tokens leave 0.3 dB of sampling noise
        axes.weight_bits(1, 1.58, 2, 3, 4, 8),
        axes.activation_bits(4, 8, 16),
        axes.groups(1, 2, 4, 8, 16, 32),
        axes.distributions("gaussian", "uniform", "laplace", "outliers"),
        axes.dtypes(),
        axes.DEVICE,
        axes.threads(),
    ),
    metrics=ACCURACY,
    budget=Budget(rounds=1, seconds=0.0),
    workload="suites.workloads.layer.forward:Forward",
    resolve=axes.resolve,
    facts=facts,
    implementations=("reference",),
)
