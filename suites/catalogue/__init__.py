"""Who takes part: the contestants by name, those of installed packages, and how each gets into a model."""
