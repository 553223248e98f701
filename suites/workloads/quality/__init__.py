"""Workloads of whole models: what they are, on which text, and how far from full precision."""
