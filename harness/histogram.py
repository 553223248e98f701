"""The bins that the errors of one tensor are counted in: stated once, for who counts them and for who draws them.

An error is divided by the root mean square of all of them, so that schemes of different accuracy have one axis and a
normal distribution of errors is the standard one.
"""

REACH = 4.0
"""The bins lie between this many times the root mean square below and above zero."""
BINS = 32
"""Equal ones, a quarter wide, closed on the left. The outermost two also take what lies beyond them."""
WIDTH = 2 * REACH / BINS
EDGES = tuple(-REACH + WIDTH * number for number in range(BINS + 1))
"""Of the bins, from the lowest to the highest; exact in binary."""
