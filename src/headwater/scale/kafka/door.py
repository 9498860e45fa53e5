"""What the edge needs of this folder, by name: imported once it is known that the extra is installed."""

from __future__ import annotations

from headwater.scale.kafka.cluster import Cluster, Topics, make_topics
from headwater.scale.kafka.host import Hooks, Host, Member
from headwater.scale.kafka.past import rested_on
from headwater.scale.kafka.payloads.registry import Registry
from headwater.scale.kafka.publish import publish
from headwater.scale.kafka.standing import Standing
from headwater.scale.kafka.turns import Turn

__all__ = [
    "Cluster",
    "Hooks",
    "Host",
    "Member",
    "Registry",
    "Standing",
    "Topics",
    "Turn",
    "make_topics",
    "publish",
    "rested_on",
]
