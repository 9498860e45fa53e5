"""Kernels: the only importers of numba. Arrays in, arrays written; no allocation on the hot path.

``layout`` names the memory, ``process`` drives, ``timeline`` keeps events, ``cells`` accumulates,
``exact`` adds, ``contents`` answers slowly. Start with ``layout``, then ``process``.
"""
