"""The versions of the tables, as Alembic keeps them: shipped with the package, run by ``schema``.

A version that was released is never edited; a change is a new file under ``versions``.
"""
