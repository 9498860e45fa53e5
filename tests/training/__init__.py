"""Looking back: what a training set may hold, how it is cut, and the whole way to a registered model."""
