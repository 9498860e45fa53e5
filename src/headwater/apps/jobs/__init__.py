"""Jobs: what a project does by itself, by the clock and by what watching found.

::

    settings ─► timetable ─┐   which jobs there are, and how often
    jobs.db, reports.db ─► history ─► schedule ─► desk ─► kinds ─► retrain, watch, alerts
                                      what is due,   plans and runs,     the work, each imported
                                      and why: pure  one at a time       when it is run

``process`` is the child of ``headwater serve`` that goes on doing this; ``headwater jobs`` and Airflow
(``scale.airflow``) run single jobs. What was run stands in ``store.jobs``.
"""
