"""Files into the log: read in parts, checked at the door, merged by time, appended in slices.

``run`` is the whole way: start there. ``files`` reads, ``source`` checks, ``spool`` keeps what was read in
order of arrival; ``settled`` and ``ledger`` make a repeated import change nothing. Called by
``headwater import``.
"""
