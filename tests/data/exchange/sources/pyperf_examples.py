"""Two benchmarks of pyperf; `one` has its name in the metadata of the file, not of the benchmark."""

import pyperf

runner = pyperf.Runner()
runner.metadata["description"] = "examples"
runner.bench_func('sum range/n=8 [a] "q"', sum, range(1000))
if not runner.args.inherit_environ or "ONE" not in runner.args.inherit_environ:
    runner.bench_func("other", sorted, list(range(100)))
