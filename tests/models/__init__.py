"""Models against their libraries and against the slow truth."""
