"""What the tests and a developer need beside Python: Kafka, PostgreSQL and Redis, under ``build/services``.

Nothing here needs a daemon manager: each service is a process of ours with its pid on file. ``make services``
and ``make services-stop`` call ``__main__``; read ``process`` next.
"""
