"""Looks at what serving did, from the log alone: late events and what they changed, parity of served vectors.

Libraries without threads or clocks of their own: an edge calls them when it has time. Above ``serving`` and
``training``, below ``apps``. Start with ``late`` or ``parity``.
"""
