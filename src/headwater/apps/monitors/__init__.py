"""The monitors of a live service: the late ledger kept up, and what was served derived again.

A process of its own beside the server (``apps.workers``), so that no decision waits for it: it reads the log
and the decision records as anybody may, and writes ledgers of its own. ``rounds`` is what it does, ``served``
what the server sends it, ``process`` the loop. The server's side is ``apps.http.monitors``.
"""
