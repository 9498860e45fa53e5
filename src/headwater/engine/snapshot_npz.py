"""Snapshots as they were written before: still read, no longer written.

::

    "HWSNAP02" | sha256 of the rest | npz: header.json, and per view and shard the four blocks

Called by ``engine.snapshot``.
"""

from __future__ import annotations

import hashlib
import io
import json
from typing import Any

import numpy as np

from headwater.engine.sections import Sections, damaged

MAGIC = b"HWSNAP02"


def read(blob: bytes) -> Sections:
    """What was written, as it is written today.

    Raises:
        StoreError: it is not whole, or not as it was written.
    """
    body = blob[40:]
    if blob[:8] != MAGIC or hashlib.sha256(body).digest() != blob[8:40]:
        raise damaged(len(blob))
    found = dict(np.load(io.BytesIO(body)))
    facts: dict[str, Any] = json.loads(found.pop("header").tobytes())
    reals = {name: array.view(np.float64).copy() for name, array in found.items() if name.endswith("/reals")}
    return Sections(facts, found | reals)
