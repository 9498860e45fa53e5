"""A message between a server and its child: one JSON object a line, with a ``kind``.

Floats keep their bits: JSON's shortest digits read back to the same float. Called by ``worker`` and
``parent``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from headwater.core.instant import instant, iso

Message = Mapping[str, Any]


def line_of(message: Message) -> bytes:
    r"""A message as a line; times as ISO 8601.

    Raises:
        TypeError, ValueError: it holds something else than JSON's values and times.

    Example:
        >>> line_of({"kind": "figures", "compared": 3})
        b'{"kind":"figures","compared":3}\n'
    """
    return json.dumps(message, default=_plain, separators=(",", ":")).encode() + b"\n"


def message_of(line: bytes) -> Message | None:
    r"""The message of a line; None if the line is none, such as half a line of somebody who died.

    Example:
        >>> message_of(b'{"kind":"figures","compared":3}\n')
        {'kind': 'figures', 'compared': 3}
        >>> message_of(b'{"kind":"fig') is None
        True
    """
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) and isinstance(found.get("kind"), str) else None


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return iso(instant(value))
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(type(value).__name__)
