"""Metrics of a layer by what they say of it: names in `harness/metric.py`, for suites to choose from."""

ACCURACY = (
    "agreement_sqnr",
    "agreement_relative",
    "agreement_max_abs",
    "error_sqnr",
    "error_relative",
    "error_cosine",
    "error_max_abs",
    "error_mse",
    "error_worst_channel_sqnr",
    "error_histogram",
)
MEMORY = (
    "weight_bytes",
    "code_bytes",
    "bits_per_weight",
    "resident_bytes",
    "peak_forward_bytes",
    "reserved_bytes",
    "peak_rss",
)
SPEED = ("latency", "first_call", "graphs", "graph_breaks", "prepare", "launch_overhead")
