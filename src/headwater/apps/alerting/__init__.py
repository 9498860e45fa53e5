"""Alerts: rules that look at reports and facts, and channels that tell people.

``rules`` judges, ``check`` holds it against ``store.alerts``, ``delivery`` tells ``channels``: the log,
``webhook`` and ``mail``. Called by ``headwater alerts`` and by jobs.
"""
