"""Serving: events in, fresh scores and explained decisions out.

An event goes through ``live`` (log, engine, score); a decision through ``decide`` (band, reasons, record);
``replay`` makes a past decision again from the log, to the bit. Called by ``apps``. Start with ``live``.
"""
