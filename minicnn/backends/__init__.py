"""The floors: the same operations, done with different means."""
