"""What suites call: the half of `suites` that imports torch, and runs in the worker only."""
