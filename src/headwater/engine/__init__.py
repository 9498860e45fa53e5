"""The engine: plan, state, run, and the kernels that no other package may call.

``plan`` compiles a feature view, ``state`` holds the memory of its keys, ``run`` drives batches of a log
through it, ``asof`` answers for a spine of times. Start with ``run``.
"""
