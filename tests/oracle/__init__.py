"""The slow truth: naive twins of the kernels, never optimised, small enough to be obviously right."""
