"""Tests, laid out like the packages they test; import shared builders as `tests.<package>.<module>`."""
