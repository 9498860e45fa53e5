"""The report on a project: one document over decisions, freshness, models, late events and alerts.

``report.make_report`` is the door, for ``headwater report`` and for jobs. ``material`` is what every section
reads; each other module is one section. Nothing here reads a clock, and no personal value is shown.
"""
