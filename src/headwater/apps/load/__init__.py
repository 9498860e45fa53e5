"""A load on a running server: what it would be to have so many callers.

::

    target    what the server serves ──► draw      values of its columns ──► requests   bytes to send
                                                                                 │
    report    words and numbers ◄── tally   what came of them ◄── loop   when each is due, over connection

Called by ``headwater bench load`` and by the benchmarks. Read ``loop`` for why latency is counted from the
moment at which a request was due.
"""
