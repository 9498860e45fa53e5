"""Looks at what serving did: late events, parity of served vectors, drift, outcomes, fairness.

Libraries without threads or clocks of their own: an edge calls them when it has time. Above ``serving`` and
``training``, below ``apps``. Start with ``drift``, ``outcomes``, ``late`` or ``parity``.
"""
