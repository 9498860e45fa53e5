"""What the engine must mean: one body of tests, run by every host. Start with ``test_boundaries.py``."""
