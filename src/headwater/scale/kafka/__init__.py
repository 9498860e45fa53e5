"""Kafka as the log: events in topics keyed by entity, a live host that is one of a consumer group.

``publish`` brings events in, ``host`` keeps scores fresh and sends them out. Needs the extra
``headwater[kafka]``; the only importer of ``confluent_kafka``. Read ``host`` next.
"""
