"""A whole model for people: its parts, and how long a step of it takes."""
