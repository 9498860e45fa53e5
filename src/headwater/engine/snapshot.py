"""Snapshots: state and offset together, as one checked block of bytes.

::

    "HWSNAP02" | sha256 of the rest | npz: header.json, and per view and shard the four blocks

A snapshot belongs to its definitions: each view's content hash is inside, and other definitions get new
state, built by replay, never old bytes. Called by ``engine.run``.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence

import numpy as np

from headwater.core.errors import StoreError
from headwater.definitions.view import FeatureView, view_hash
from headwater.engine.keys import Codebook
from headwater.engine.state import ViewState

MAGIC = b"HWSNAP02"  # another number whenever the memory is laid out otherwise


def dump(states: Mapping[str, ViewState], offset: int) -> bytes:
    """Everything that the states hold, as bytes."""
    arrays: dict[str, np.ndarray] = {}
    header: dict[str, object] = {"offset": offset, "views": {}}
    for name, state in states.items():
        header["views"][name] = {  # type: ignore[index]
            "hash": view_hash(state.view),
            "shards": len(state.memories),
            "texts": state.book.texts,
            "keys": state.keys.book.texts if state.keys.book is not None else None,
        }
        arrays[f"{name}/keys"] = state.keys.integers()
        for s, memory in enumerate(state.memories):
            arrays |= {f"{name}/{s}/{block}": data for block, data in memory.blocks().items()}
    buffer = io.BytesIO()
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
    np.savez(buffer, **arrays)  # type: ignore[arg-type]  # no block is called allow_pickle
    body = buffer.getvalue()
    return MAGIC + hashlib.sha256(body).digest() + body


def load(views: Sequence[FeatureView], blob: bytes) -> tuple[dict[str, ViewState], int]:
    """The states of the views, and the offset they stand at."""
    body = blob[40:]
    if blob[:8] != MAGIC or hashlib.sha256(body).digest() != blob[8:40]:
        raise StoreError.of(
            "a snapshot is damaged",
            expected="a whole snapshot of this version",
            got=f"{len(blob)} bytes whose checksum does not match",
            do="use an older snapshot, or replay the log",
        )
    arrays = np.load(io.BytesIO(body))
    header = json.loads(arrays["header"].tobytes())
    states = {}
    for view in views:
        entry = header["views"].get(view.name)
        if entry is None or entry["hash"] != view_hash(view):
            raise StoreError.of(
                "a snapshot was taken of another definition",
                expected=f"definition {view_hash(view)[:12]}",
                got="none of that name" if entry is None else f"definition {entry['hash'][:12]}",
                where=view.name,
                do="build the state of the changed view by replay of the log",
            )
        state = ViewState(view, shards=entry["shards"])
        state.book = Codebook(entry["texts"])
        state.keys.restore(arrays[f"{view.name}/keys"], entry["keys"])
        for s, memory in enumerate(state.memories):
            memory.restore(
                {block: arrays[f"{view.name}/{s}/{block}"] for block in ("words", "heap", "ints", "reals")}
            )
        states[view.name] = state
    return states, header["offset"]
