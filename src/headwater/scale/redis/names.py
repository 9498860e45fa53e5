"""What lies in Redis, by name. All names of a project share its slot of a cluster.

::

    hw:{bank}:owner                       a hash, the marker: who owns, what is whole, up to where
    hw:{bank}:<generation>:<view>:<n>     hashes, the buckets of a view: b"!" and for each key b"k" + key
    hw:{bank}:<generation>:<view>:texts   a list: the texts that the view's states name by their numbers

    hw:{bank}:parts                       of a store in parts: how many, and which of them holds a key
    hw:{bank}:owner:<part>                their markers; their generations begin with the part and a dot
    hw:{bank}:strays                      a set: the fields of keys whose events lie in several parts

A *generation* is one filling from the beginning: by one owner, of one set of definitions. Every bucket is
there from the start and holds ``b"!"``; so a key that is not in its bucket was never seen, and a bucket that
is not there, or a marker that is not, has been lost. Used by ``writing``, ``source`` and ``scripts``.
"""

from __future__ import annotations

import json
import secrets
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from headwater.definitions.view import FeatureView, view_hash
from headwater.engine import sections
from headwater.scale.redis.parts import WHOLE, Part

THERE = b"!"
LAYOUT = sections.LAYOUT.decode()  # of the states, as it is of snapshots


def marker(project: str, part: Part = WHOLE) -> str:
    """The marker of a project's part."""
    return f"hw:{{{project}}}:owner:{part.number}" if part.of else f"hw:{{{project}}}:owner"


def layout(project: str) -> str:
    """What says how many parts there are."""
    return f"hw:{{{project}}}:parts"


def strays(project: str) -> str:
    """The keys that nothing can be said of."""
    return f"hw:{{{project}}}:strays"


def bucket(project: str, generation: str, view: str, number: int) -> str:
    """A bucket of a view."""
    return f"hw:{{{project}}}:{generation}:{view}:{number}"


def texts(project: str, generation: str, view: str) -> str:
    """The texts of a view."""
    return f"hw:{{{project}}}:{generation}:{view}:texts"


def generation(epoch: int, part: Part = WHOLE) -> str:
    """A new generation of an owner."""
    made = f"{epoch:x}-{secrets.token_hex(4)}"
    return f"{part.number}.{made}" if part.of else made


def every(project: str, part: Part = WHOLE) -> str:
    """A pattern for all names of a project, or of one of its parts."""
    return f"hw:{{{project}}}:{part.number}.*" if part.of else f"hw:{{{project}}}:*"


def is_older(name: bytes, project: str, generation: str) -> bool:
    """Whether a name is of an earlier generation, of this owner or of one before.

    Example:
        >>> older = bucket("bank", "5f-01", "spending", 7).encode()
        >>> [is_older(older, "bank", now) for now in ("60-02", "5f-01", "3.60-02")]
        [True, False, False]
    """
    found = name.decode().removeprefix(f"hw:{{{project}}}:").partition(":")[0]
    if "-" not in found or found == generation:
        return False
    (part, epoch), (part_now, epoch_now) = _cut(found), _cut(generation)
    return part == part_now and epoch <= epoch_now


def _cut(generation: str) -> tuple[str, int]:
    part, _, rest = generation.rpartition(".")
    return part, int(rest.partition("-")[0], 16)


def field(key: Any) -> bytes:
    """The field of an entity's key."""
    return b"k" + str(key).encode()


def number_of(name: bytes, part: Part = WHOLE) -> int:
    """The bucket that a field is in."""
    return zlib.crc32(name) % part.buckets


def definitions(views: Sequence[FeatureView]) -> str:
    """What the states are of: each view's hash, and how their memory is laid out."""
    hashes: Mapping[str, str] = {view.name: view_hash(view) for view in views}
    return json.dumps({"layout": LAYOUT, "views": hashes}, sort_keys=True)
