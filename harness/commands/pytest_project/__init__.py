"""A gate of any project's pytest-benchmark tests: its options, and what it does with them."""
