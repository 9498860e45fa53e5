"""What Headwater promises to be fast at, measured against others. ``make bench`` runs it.

``__main__`` is the command; each measure is a module (``windows``, ``training_set``, ``flatness``,
``memory``, ``scripts``); ``harness`` starts the contenders, each in a process of its own, where ``worker``
times them. What a contender does is in ``contenders/``. The method and the figures are explained in
``docs/explanation/benchmarks.md``.
"""
