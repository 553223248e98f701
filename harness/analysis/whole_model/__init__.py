"""From measured layers to a whole model."""
