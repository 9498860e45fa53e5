"""Lines to Redis for one script that is asked thousands of times a second: packed and read without detours.

The ordinary client looks up, checks, counts and retries for each command what stays the same between two of
them; that costs more than the round trip. A line is one of its connections, with all that it knows of
addresses, passwords and TLS, which is kept. Called by ``source``.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha1
from typing import Any

import hiredis
import redis
from redis.exceptions import NoScriptError


class Lines:
    """Asks a script that only reads. Safe to share between threads: each asks on a line of its own.

    Args:
        client: whose connections they are; closed by whoever made it.
        script: that is asked.
    """

    def __init__(self, client: redis.Redis, script: str) -> None:
        self._pool = client.connection_pool
        self._script = script
        self._name = sha1(script.encode(), usedforsecurity=False).hexdigest()  # as Redis calls it
        self._free: list[Any] = []  # to append and to pop takes no lock

    def ask(self, keys: Sequence[str], arguments: Sequence[str | bytes]) -> Any:
        """What the script answers; asked again once where Redis had closed the line meanwhile.

        Raises:
            RedisError, OSError: it does not answer, or refuses.
        """
        command = str(len(keys)), *keys, *arguments
        try:
            line = self._free.pop()
        except IndexError:
            line = self._pool.get_connection()
        try:
            found = self._asked(line, command)
        except BaseException:
            line.disconnect()
            self._pool.release(line)
            raise
        self._free.append(line)
        return found

    def _asked(self, line: Any, command: Sequence[str | bytes]) -> Any:
        packed = _packed("EVALSHA", self._name, *command)
        try:
            return _once(line, packed)
        except redis.ConnectionError:
            line.disconnect()
            return self._known(line, packed, command)
        except NoScriptError:
            return self._known(line, packed, command)

    def _known(self, line: Any, packed: bytes, command: Sequence[str | bytes]) -> Any:
        """Once more, with the script itself if Redis does not know it."""
        try:
            return _once(line, packed)
        except NoScriptError:
            return _once(line, _packed("EVAL", self._script, *command))


def _packed(*parts: Any) -> bytes:
    """A command as it goes over the line."""
    packed: bytes = hiredis.pack_command(parts)
    return packed


def _once(line: Any, packed: bytes) -> Any:
    line.send_packed_command((packed,))
    return line.read_response()
