"""What makes a suite of layers small enough for a test."""

TINY = ("--axis", "shape=48x32", "--axis", "m=3", "--threads", "1")
