"""Figures of whole models: how much worse they answer, what that buys, and which layers it comes from."""
