"""What lies in Redis, by name. All names of a project share its slot of a cluster.

::

    hw:{bank}:owner                       a hash, the marker: who owns, what is whole, up to where
    hw:{bank}:<generation>:<view>:<n>     hashes, the buckets of a view: b"!" and for each key b"k" + key
    hw:{bank}:<generation>:<view>:texts   a list: the texts that the view's states name by their numbers

A *generation* is one filling from the beginning: by one owner, of one set of definitions. Every bucket is
there from the start and holds ``b"!"``; so a key that is not in its bucket was never seen, and a bucket that
is not there, or a marker that is not, has been lost. Used by ``publisher``, ``source`` and ``scripts``.
"""

from __future__ import annotations

import json
import secrets
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from headwater.definitions.view import FeatureView, view_hash
from headwater.engine.sections import MAGIC

BUCKETS = 1_024
THERE = b"!"
LAYOUT = MAGIC.decode()  # of the states, as it is of snapshots


def marker(project: str) -> str:
    """The marker of a project."""
    return f"hw:{{{project}}}:owner"


def bucket(project: str, generation: str, view: str, number: int) -> str:
    """A bucket of a view."""
    return f"hw:{{{project}}}:{generation}:{view}:{number}"


def texts(project: str, generation: str, view: str) -> str:
    """The texts of a view."""
    return f"hw:{{{project}}}:{generation}:{view}:texts"


def generation(epoch: int) -> str:
    """A new generation of an owner."""
    return f"{epoch:x}-{secrets.token_hex(4)}"


def every(project: str) -> str:
    """A pattern for all names of a project."""
    return f"hw:{{{project}}}:*"


def is_older(name: bytes, project: str, generation: str) -> bool:
    """Whether a name is of an earlier generation, of this owner or of one before.

    Example:
        >>> older = bucket("bank", "5f-01", "spending", 7).encode()
        >>> is_older(older, "bank", "60-02"), is_older(older, "bank", "5f-01")
        (True, False)
    """
    found = name.decode().removeprefix(f"hw:{{{project}}}:").partition(":")[0]
    epoch = found.partition("-")[0]
    if "-" not in found or found == generation:
        return False
    return int(epoch, 16) <= int(generation.partition("-")[0], 16)


def field(key: Any) -> bytes:
    """The field of an entity's key."""
    return b"k" + str(key).encode()


def number_of(name: bytes) -> int:
    """The bucket that a field is in."""
    return zlib.crc32(name) % BUCKETS


def definitions(views: Sequence[FeatureView]) -> str:
    """What the states are of: each view's hash, and how their memory is laid out."""
    hashes: Mapping[str, str] = {view.name: view_hash(view) for view in views}
    return json.dumps({"layout": LAYOUT, "views": hashes}, sort_keys=True)
