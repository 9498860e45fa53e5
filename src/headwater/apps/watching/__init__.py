"""Watching over a data folder: the facts of a window, put together, judged by ``monitoring`` and kept.

``place`` says where; ``served`` and ``flows`` gather; ``drift``, ``outcomes`` and ``fairness`` are what a job
or a command runs. Nothing here reads a clock.
"""
