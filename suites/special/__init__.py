"""Registries that are no suites of their own: what `bitbench check` and the self-tests measure."""
