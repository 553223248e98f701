"""A decoder of real sizes and random weights, step by step."""
