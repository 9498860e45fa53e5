"""On Spark: a training set by the kernel in its workers, and by its own window functions."""
