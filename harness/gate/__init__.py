"""Two revisions, measured now: checkouts, two workers turn by turn, two runs on the disk."""
