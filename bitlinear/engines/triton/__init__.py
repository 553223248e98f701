"""Triton kernels, and the layer that calls them. Importing them imports triton."""
