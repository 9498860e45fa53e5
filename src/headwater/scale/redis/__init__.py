"""Redis as online store: the owner of the log publishes its keys' states, other servers decide from them.

Read ``door`` for what the edges use, ``names`` for what lies in Redis, ``scripts`` for what is done at once,
``writing`` for the owner's half, which ``publisher`` and ``owners`` drive, and ``source`` for the half of a
server that decides.

::

    names, parts, scripts, connection      what lies there, and what is done at once
         │
    states, progress, preflight, fenced    what is copied, how far, and what an owner alone may write
         │
    writing ── moved ──► publisher         of an embedded log
         └────────────► owned, owners      of a Kafka host's partitions
    line ──► source ──► vectors            of whoever decides
"""
