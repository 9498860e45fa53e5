"""What the edge needs of this folder, by name: imported once it is known that the extra is installed."""

from __future__ import annotations

from headwater.scale.redis.connection import Address
from headwater.scale.redis.owners import Owners
from headwater.scale.redis.progress import Memory
from headwater.scale.redis.publisher import Publisher
from headwater.scale.redis.source import Seen, Source
from headwater.scale.redis.states import Held
from headwater.scale.redis.vectors import OnlineVectors
from headwater.scale.redis.writing import Writing

__all__ = [
    "Address",
    "Held",
    "Memory",
    "OnlineVectors",
    "Owners",
    "Publisher",
    "Seen",
    "Source",
    "Writing",
]
