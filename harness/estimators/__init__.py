"""From raw values to centres, intervals and p values: numbers in, numbers out. Knows no metric, case or run."""
