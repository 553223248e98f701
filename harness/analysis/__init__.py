"""From records to numbers. Opens no process, and no file that it is not given."""
