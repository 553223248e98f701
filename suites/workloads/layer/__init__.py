"""Workloads of a layer: a forward, a training step, and how they are judged."""
