"""Files of other benchmark tools, read as runs: a module a format, and a registry that tells them by their content."""
