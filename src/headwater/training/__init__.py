"""Looking back: training sets by replay, models fitted on them, and what they are worth.

Read ``dataset`` first (rows that serving could have known), then ``split`` (what is held out), ``train``
(the whole way, from the log to a registered model). Meets ``serving`` only in ``models`` and ``engine``.
"""
