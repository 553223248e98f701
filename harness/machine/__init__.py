"""The machine: what it is, what it can do, what disturbs it. Torch-free."""
