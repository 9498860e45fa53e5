"""Child processes of a server: work that must not touch the latency of what it serves.

::

    server                                     child: python -m ..., at low priority
    Worker ── what to do, one line each ──► stdin    Parent ── next()
           ◄── how it went, one line each ── stdout         ── tell()
           starts it again when it dies       the end of stdin: nobody is there any more, so it ends

``worker`` is the server's side: it starts a child, keeps it alive and lets it end. ``parent`` is the child's
side. ``message`` is a line between them. What the children do lies elsewhere: see ``apps.monitors``.
"""
