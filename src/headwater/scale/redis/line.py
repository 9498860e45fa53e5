"""Lines to Redis for one script that is asked thousands of times a second: packed and read without detours.

::

    event loop ── send ──► Redis            asked as soon as a request is there,
    recorder   ◄── answer ──┘               read when its turn has come

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

    def asked(self, keys: Sequence[str], arguments: Sequence[str | bytes]) -> Sent:
        """Ask, on a new connection if no line is free.

        Raises:
            RedisError, OSError: it cannot be asked.
        """
        try:
            sent = self.send(keys, arguments)
        except redis.ConnectionError:  # Redis had closed it
            sent = None
        return sent or self._sent(self._pool.get_connection(), keys, arguments)

    def send(self, keys: Sequence[str], arguments: Sequence[str | bytes]) -> Sent | None:
        """Ask without waiting for a connection; None where no line is free."""
        try:
            line = self._free.pop()
        except IndexError:
            return None
        return self._sent(line, keys, arguments)

    def _sent(self, line: Any, keys: Sequence[str], arguments: Sequence[str | bytes]) -> Sent:
        sent = Sent(self, line, (str(len(keys)), *keys, *arguments))
        sent.send()
        return sent

    def packed(self, command: Sequence[str | bytes], *, known: bool = True) -> bytes:
        """What asks the script; with the script itself, where Redis does not know it."""
        head = ("EVALSHA", self._name) if known else ("EVAL", self._script)
        parts: tuple[Any, ...] = (*head, *command)
        packed: bytes = hiredis.pack_command(parts)
        return packed

    def back(self, line: Any) -> None:
        """A line that waits for nothing."""
        self._free.append(line)

    def lost(self, line: Any) -> None:
        """A line on which something may still come."""
        line.disconnect()
        self._pool.release(line)


class Sent:
    """What was asked on a line, which is its own until it is read, or dropped."""

    __slots__ = ("_command", "_line", "_lines", "_packed")

    def __init__(self, lines: Lines, line: Any, command: Sequence[str | bytes]) -> None:
        self._lines, self._line, self._command = lines, line, command
        self._packed = lines.packed(command)

    def send(self) -> None:
        """Ask."""
        try:
            self._line.send_packed_command((self._packed,))
        except BaseException:
            self.drop()
            raise

    def read(self) -> Any:
        """The answer; asked again once where Redis had closed the line meanwhile.

        Raises:
            RedisError, OSError: there is none, or Redis refuses.
        """
        try:
            found = self._read()
        except BaseException:
            self.drop()
            raise
        self._lines.back(self._line)
        return found

    def drop(self) -> None:
        """Nobody wants to know any more."""
        self._lines.lost(self._line)

    def _read(self) -> Any:
        try:
            return self._line.read_response()
        except redis.ConnectionError:  # closed meanwhile; the next command opens it
            return self._again(self._packed)
        except NoScriptError:
            return self._again(self._lines.packed(self._command, known=False))

    def _again(self, packed: bytes) -> Any:
        self._line.send_packed_command((packed,))
        try:
            return self._line.read_response()
        except NoScriptError:
            self._line.send_packed_command((self._lines.packed(self._command, known=False),))
            return self._line.read_response()
