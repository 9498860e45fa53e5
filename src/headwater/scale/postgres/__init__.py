"""Postgres for the records that servers share: decisions, audit trail, jobs and dead letters.

::

    address ──► database (one pool) ──┬── decisions      the protocols of ``store.protocol``
                    │                 ├── audit          and ``log.protocol``
                migrations            ├── credentials
                                      ├── jobs
                                      └── dead_letters

Needs the extra ``headwater[postgres]``; the only importer of SQLAlchemy, Alembic and psycopg. Called by
``apps.stores`` through ``door``. Why there is one chain for all servers: docs/design/0008. Read ``database``
next.
"""
