"""Measure 2: a point-in-time training set. One module per contender."""
