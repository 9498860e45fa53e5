"""Measure 1: eighteen windowed features after each event. One module per contender."""
