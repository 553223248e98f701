"""A history for people: a table of its changes, small multiples of its series, a page of both."""
