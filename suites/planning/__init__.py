"""Plans of mixed bits from a run of `sensitivity`: `python -m suites.planning RUN --bytes 60MiB -o plan.json`."""
