"""Tools of the build: nothing here is shipped, nothing in ``headwater`` may import it."""
