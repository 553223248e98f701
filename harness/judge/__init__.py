"""From two runs to verdicts. Opens no process."""
