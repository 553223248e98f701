"""Runs in the formats of other benchmark tools: a module a format, and a registry."""
