"""The controller: it decides what is measured next, starts the workers and turns answers into records."""
