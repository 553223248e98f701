"""Layers of a fixed weight: modules in plain torch, in C and in Triton."""
