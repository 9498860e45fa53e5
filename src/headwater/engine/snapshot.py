"""Snapshots: state and offset together, as one checked block of bytes (``sections``).

A snapshot belongs to its definitions: each view's content hash is inside, and other definitions get new
state, built by replay, never old bytes. Called by ``engine.run``; read ``sections`` for the bytes.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from headwater.core.errors import StoreError
from headwater.definitions.view import FeatureView, view_hash
from headwater.engine import sections, snapshot_npz
from headwater.engine.keys import Codebook
from headwater.engine.sections import Array, Sections
from headwater.engine.state import ViewState

_BLOCKS = ("words", "heap", "ints", "reals")
_LINE = 10_000  # texts that are written or read at once; nothing else of Python runs for these milliseconds


def pieces(states: Mapping[str, ViewState], offset: int) -> Iterator[memoryview | bytes]:
    """Everything that the states hold, as bytes, part after part; the states must stand still meanwhile."""
    arrays: dict[str, Array] = {}
    views: dict[str, Any] = {}
    for name, state in states.items():
        views[name] = {"hash": view_hash(state.view), "shards": len(state.memories)}
        arrays[f"{name}/texts"] = _lines(state.book.texts)
        if state.keys.book is not None:
            arrays[f"{name}/key texts"] = _lines(state.keys.book.texts)
        arrays[f"{name}/keys"] = state.keys.integers()
        for s, memory in enumerate(state.memories):
            arrays |= {f"{name}/{s}/{block}": data for block, data in memory.blocks().items()}
    return sections.pieces({"offset": offset, "views": views}, arrays)


def parse(blob: bytes) -> Sections:
    """What a snapshot of this format, or of an older one, holds.

    Raises:
        StoreError: it is damaged, or of a format that is not known here.
    """
    if blob[:8] == snapshot_npz.MAGIC:
        return snapshot_npz.read(blob)
    return sections.read(io.BytesIO(blob))


def load(views: Sequence[FeatureView], found: Sections) -> tuple[dict[str, ViewState], int]:
    """The states of the views, and the offset they stand at. They take over the arrays.

    Raises:
        StoreError: the snapshot was taken of other definitions; nothing was taken over then.
    """
    entries = {view.name: _entry(view, found) for view in views}
    states = {}
    for view in views:
        entry = entries[view.name]
        state = ViewState(view, shards=entry["shards"])
        state.book = Codebook(_texts(found, view.name, "texts", "texts") or ())
        state.keys.restore(found.arrays[f"{view.name}/keys"], _texts(found, view.name, "key texts", "keys"))
        for s, memory in enumerate(state.memories):
            at = {block: f"{view.name}/{s}/{block}" for block in _BLOCKS}
            blocks = {block: found.roomy.get(name, found.arrays[name]) for block, name in at.items()}
            blocks["heap"] = found.arrays[at["heap"]]  # does not grow
            memory.restore(blocks, len(found.arrays[at["ints"]]))
        if found.roomy:
            state.begin_alone()
        states[view.name] = state
    return states, found.facts["offset"]


def _lines(texts: Sequence[str]) -> Array:
    """Texts as bytes: a JSON list on each line."""
    lines = [json.dumps(texts[first : first + _LINE]) for first in range(0, len(texts), _LINE)]
    return np.frombuffer("\n".join(lines).encode(), dtype=np.uint8)


def _texts(found: Sections, view: str, array: str, fact: str) -> list[str] | None:
    """Texts of a view; None if it has none of the kind. At first they were among the facts."""
    entry, lines = found.facts["views"][view], found.arrays.get(f"{view}/{array}")
    if lines is None:
        texts: list[str] | None = entry.get(fact)
        return texts
    return [text for line in lines.tobytes().split(b"\n") if line for text in json.loads(line)]


def _entry(view: FeatureView, found: Sections) -> dict[str, Any]:
    entry: dict[str, Any] | None = found.facts["views"].get(view.name)
    if entry is None or entry["hash"] != view_hash(view):
        raise StoreError.of(
            "a snapshot was taken of another definition",
            expected=f"definition {view_hash(view)[:12]}",
            got="none of that name" if entry is None else f"definition {entry['hash'][:12]}",
            where=view.name,
            do="build the state of the changed view by replay of the log",
        )
    return entry
