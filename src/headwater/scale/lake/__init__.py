"""The lake: events and decisions as tables of files, for analysts and their tools, each row exactly once.

::

    log, decisions ─► source ─► export ─► parquet   files that appear whole, and a note of how far they go
       (exact)         rows                delta     transactions that carry how far they go
                         └── table: names, types, meanings; follows from the definition, only grows

``table`` says what the tables are, ``source`` where rows come from, ``private`` what becomes of personal
values. ``delta`` is the only module that needs the extra ``headwater[lake]``. Called by ``apps.lakes``.
"""
