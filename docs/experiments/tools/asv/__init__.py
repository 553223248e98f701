"""The benchmarks that asv finds here."""
