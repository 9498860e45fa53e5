"""Files into the log: read in parts, checked at the door, merged by time, appended in slices.

``files`` reads, ``spool`` keeps what was read in order of arrival, ``run`` is the whole way: start there.
Called by ``headwater import``.
"""
