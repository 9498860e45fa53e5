"""The tests. What a feature value means is in ``tests/engine``, the slow truth in ``tests/oracle``."""
