"""What a server tells its monitors: which models it serves, and some of the fresh scores that it gave.

Decisions are not sent: they are durable records. Called on both sides.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from headwater.apps.workers.message import Message
from headwater.definitions.compile import content_hash
from headwater.definitions.model import Model
from headwater.serving.live import Scored
from headwater.serving.rows import exact
from headwater.serving.served import Serving

SERVE, FRESH, FIGURES, FAULT, SHADOW = "serve", "fresh", "figures", "fault", "shadow"


def serve_message(serving: Serving, challengers: Mapping[str, int]) -> Message:
    """Which definitions and which version of each model are served, and the challengers by their numbers."""
    return {
        "kind": SERVE,
        "project": content_hash(serving.project),
        "models": {name: scoring.digest for name, scoring in serving.scorings.items()},
        "challengers": dict(challengers),
    }


def fresh_message(scored: Scored, digest: str) -> Message:
    """A fresh score as it was served, to the bit."""
    return {
        "kind": FRESH,
        "model": scored.model,
        "digest": digest,
        "keys": dict(scored.keys),
        "time": scored.time,
        "offset": scored.offset,
        "request": dict(scored.request),
        "x": scored.x.tobytes().hex(),
        "score": scored.score.hex(),
    }


def scored_of(message: Message, model: Model) -> Scored:
    """The score of a message.

    Raises:
        DataError, KeyError, ValueError: it is none of this model.
    """
    types = {view.key: view.stream.schema[view.key] for view in model.features}
    return Scored(
        model=model.name,
        keys={name: exact(value, types[name], name) for name, value in message["keys"].items()},
        time=message["time"],
        offset=message["offset"],
        request={name: exact(value, model.columns[name], name) for name, value in message["request"].items()},
        x=np.frombuffer(bytes.fromhex(message["x"]), dtype=np.float64),
        score=float.fromhex(message["score"]),
    )
