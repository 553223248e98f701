"""Models that a user names: their linear products, from a file, a configuration or code."""
