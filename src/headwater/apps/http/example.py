"""A decision that can be asked for right now, on an entity that the state knows: for the banner."""

from __future__ import annotations

import json
import shlex
from typing import Any

from headwater.apps.http.answers import one_plain
from headwater.core.instant import DAY, iso
from headwater.definitions.policy import Policy
from headwater.serving.service import Service


def decision(service: Service) -> dict[str, Any] | None:
    """The body of a decision on some entity that the state knows, or None without a policy to decide by.

    As of the newest event, if that is long ago.
    """
    serving = service.serving
    if not serving.deciders:
        return None
    policy = next(iter(serving.deciders.values())).policy
    found: dict[str, Any] = {"policy": policy.name, "keys": _keys(service, policy)}
    if policy.model.request:
        found["request"] = dict.fromkeys(policy.model.request)
    last = service.log.arrival()
    if service.log.end() and service.now() - last > DAY:
        found["at"] = iso(last)
    return found


def curl(url: str, body: dict[str, Any]) -> str:
    """A line for the shell that asks for a decision."""
    text = shlex.quote(json.dumps(body))
    return f"curl -s {url}/v1/decisions -H 'Content-Type: application/json' -d {text}"


def _keys(service: Service, policy: Policy) -> dict[str, Any]:
    states = service.serving.vectors.engine.states
    keys: dict[str, Any] = {}
    for view in policy.model.features:
        if view.key not in keys:
            known = states[view.name].keys.keys()
            keys[view.key] = one_plain(known[-1]) if len(known) else None
    return keys
