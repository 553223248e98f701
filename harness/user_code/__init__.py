"""Code that is not ours: where it lies, how it is named and imported, and what is told of it when it raises."""
