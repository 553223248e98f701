"""overhead: the harness measured by itself. Its contestants are the harness's own commands, not layers."""

from harness.model import Budget
from harness.model.suite import Suite

COMMANDS = Suite(
    name="overhead",
    summary="how long the harness's own commands take, each in a process of its own",
    axes=(),
    metrics=("latency",),
    budget=Budget(rounds=3, seconds=20.0, sample=0.05),
    workload="suites.workloads.own.overhead:Command",
    resolve=dict,
    facts=dict,
    implementations=(
        "help",
        "show",
        "compare",
        "gate",
        "report-10000",
        "report-100000",
        "open-nothing",
        "open-report-5000",
        "first-row",
    ),
)

SHARES = Suite(
    name="overhead-share",
    summary="share of wall time spent timing, share of a sample that is the timing loop, size of large reports",
    axes=(),
    metrics=("timed_share", "loop_share", "report_bytes"),
    budget=Budget(rounds=1, seconds=0.0),
    workload="suites.workloads.own.overhead:Share",
    resolve=dict,
    facts=dict,
    implementations=("latency-suite", "timing-loop", "report-5000", "report-10000", "report-100000"),
)
