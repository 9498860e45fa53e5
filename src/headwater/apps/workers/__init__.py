"""Child processes of a server: work that must not touch the latency of what it serves.

::

    server                                     child: python -m headwater.apps.workers JOB, at low priority
    Worker ── what to do, one line each ──► stdin    Parent ── next()
           ◄── how it went, one line each ── stdout         ── tell()
           starts it again when it dies       the end of stdin: nobody is there any more, so it ends

``worker`` is the server's side: it starts a child, keeps it alive and lets it end. ``__main__`` is where the
child begins, ``parent`` how it sees its server, ``message`` a line between them. What children do lies
elsewhere: see ``apps.monitors``.
"""
