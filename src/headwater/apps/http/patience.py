"""Clients that keep the server waiting: each gets its time, and is then let go with a clear answer.

::

    connect ── head ──► head is whole ── body ──► body is whole ── answer ──► answer is taken
            HEAD seconds              BODY seconds, and one          TAKE seconds without
                                      more for each RATE bytes       a byte being taken

uvicorn has no time for a head or a body: whoever sends a byte now and then is waited for without end, and a
few thousand of those leave nobody else in. Here each connection notes since when it is waited for, which
costs a request next to nothing, and one look a second over all of them (:func:`watch`) lets the slow ones go.
No more connections are held than files may be open: who is waited for longest makes room. Called by
``server``.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import random
from collections.abc import Collection
from http import HTTPStatus
from typing import Any, cast

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from headwater.apps.http.lane import Lane, Passing
from headwater.apps.http.problems import MEDIA_TYPE, MalformedError, document
from headwater.core.errors import HeadwaterError
from headwater.serving.waiting import OverloadedError

try:
    import resource
except ImportError:  # Windows has no such limit
    resource = None  # type: ignore[assignment]

LOG = logging.getLogger("headwater.http")

HEAD = 10.0  # seconds for the head of a request, from the connection or from its first byte
BODY = 10.0  # seconds for its body,
RATE = 16_384  # and one more for each so many bytes that came
LINGER = 2.0  # seconds to take the last answer of a connection
TAKE = 30.0  # seconds in which some of an answer must be taken
LARGEST_HEAD = 65_536  # bytes
LOOK = 1.0  # seconds between two looks
_BACKLOG = 4_096  # connections that wait to be taken
_AT_ONCE = 10  # clients that are let go in one turn
_SHARE = 20  # of the connections, the one part that makes room at once
_OPEN = 65_536  # files that are enough
_FEWEST = 16  # connections, however few files may be open
_OTHER_FILES = 256  # log, databases, models, sockets of the process itself

_NUMBERS = random.Random()
_HEAD, _BODY, _WHOLE, _ENDED = range(4)  # what is waited for: of a whole request, nothing


class TooSlowError(HeadwaterError):
    """The request did not come in time."""

    code = "too-slow"


class LargeHeadError(HeadwaterError):
    """The head of the request is over the limit."""

    code = "head-too-large"


class Patient(HttpToolsProtocol):
    """A connection that knows since when it is waited for.

    Attributes:
        limit: connections that are held at once, of all.
        lane: the short way of small requests to hot routes, if there is one.
        stage: what is waited for.
        since: since when; seconds of the loop's clock.
    """

    limit = _OPEN
    lane: Lane | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there; who waits longest makes room if there are too many."""
        super().connection_made(transport)
        self.stage = _HEAD
        self.since = self.loop.time()
        self.came = 0
        self.stuck: float | None = None
        if len(self.connections) > self.limit:
            self._make_room()

    def data_received(self, data: bytes) -> None:
        """Some bytes came."""
        if (
            self.stage == _ENDED
        ):  # read and left aside, so that what we said is not lost with what was not read
            return
        if self.stage == _HEAD:
            self.came += len(data)
        super().data_received(data)
        if self.stage == _HEAD and self.came > LARGEST_HEAD and self.parser is not None:
            self.refuse(
                431,
                LargeHeadError.of(
                    "the head of the request is too large",
                    expected=f"at most {LARGEST_HEAD:,} bytes of address and headers",
                    do="send less in headers; what is long belongs into the body",
                ),
            )

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        self.stage = _HEAD
        self.since = self.loop.time()
        self.came = 0

    def on_headers_complete(self) -> None:
        """The head is whole: the app is called."""
        self.stage = _BODY
        self.since = self.loop.time()
        self.came = 0
        passing = None if self.lane is None else self.lane.enter(self)
        if passing is None:
            super().on_headers_complete()
        else:
            self.cycle = cast(RequestResponseCycle, passing)  # has what is asked of one

    def on_body(self, body: bytes) -> None:
        """Some of the body."""
        self.came += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self.stage = _WHOLE
        super().on_message_complete()
        request: object = self.cycle
        if isinstance(request, Passing) and self.lane is not None:
            self.lane.begin(self, request)

    def pause_writing(self) -> None:
        """The client does not take what is sent."""
        super().pause_writing()
        self.stuck = self.loop.time()

    def resume_writing(self) -> None:
        """It does again."""
        super().resume_writing()
        self.stuck = None

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's shape
        """What came is no HTTP."""
        self.refuse(
            400, MalformedError.of("the request is no HTTP", expected="HTTP/1.1", do="look at the client")
        )

    def let_go(self, now: float) -> bool:
        """Let go of a client that had its time; whether it was."""
        if self.transport.is_closing():
            return False
        if self.stage == _ENDED:
            if now - self.since > LINGER:
                self.transport.abort()
            return False
        if self.stuck is not None:
            if now - self.stuck > TAKE:
                self.transport.abort()
                return True
            return False
        if not self.waiting or now - self.since <= self._time:
            return False
        self.refuse(
            408,
            TooSlowError.of(
                "the request did not come in time",
                expected=f"its head within {HEAD:.0f} seconds, its body within {BODY:.0f} and one more for"
                f" each {RATE:,} bytes",
                do="send it at once; a connection may be kept, but a request is not begun early",
            ),
        )
        return True

    @property
    def waiting(self) -> bool:
        """Whether the client is what is waited for, and not we ourselves."""
        if self.stage in (_WHOLE, _ENDED) or self.flow.read_paused:
            return False
        request = self._request
        answering = request is not None and not request.response_complete
        return not (self.stage == _HEAD and answering)

    @property
    def _time(self) -> float:
        return HEAD if self.stage == _HEAD else BODY + self.came / RATE

    def _make_room(self) -> None:
        """Let go of those who are waited for longest, or of this one if all others are at work."""
        others = [one for one in self.connections if isinstance(one, Patient) and one is not self]
        idle = [one for one in others if one.waiting or one.idle]
        longest = heapq.nsmallest(max(1, self.limit // _SHARE), idle, key=lambda one: one.since)
        for one in longest or [self]:
            one.refuse(503, _full())
        LOG.warning("connections were let go for want of room", extra={"count": len(longest) or 1})

    @property
    def idle(self) -> bool:
        """Whether it is kept open between two requests."""
        request = self._request
        return request is not None and request.response_complete and self.stage != _ENDED

    @property
    def _request(self) -> RequestResponseCycle | None:
        """The request that is answered, or was last; None before the first."""
        return self.cycle

    def refuse(self, status: int, error: HeadwaterError) -> None:
        """The last answer of a connection; none where another one has begun."""
        if self.transport.is_closing():
            return
        request = self._request
        answering = request is not None and request.response_started and not request.response_complete
        if answering or (self.idle and self.stage == _WHOLE):  # between two requests nobody expects an answer
            self.transport.close()
            return
        self.transport.write(_answer(status, error))
        self._end()

    def _end(self) -> None:
        """Say no more, and hang up once the client has, or after a while."""
        self.stage, self.since = _ENDED, self.loop.time()
        if (request := self._request) is not None:
            request.disconnected = True
            request.message_event.set()
        self._unset_keepalive_if_required()
        if not self.transport.can_write_eof():  # TLS
            self.transport.close()
            return
        self.flow.resume_reading()
        self.transport.write_eof()


def _full() -> HeadwaterError:
    return OverloadedError.of(
        "too many connections are open", do="send again in a second, and close what is not used"
    )


def _answer(status: int, error: HeadwaterError) -> bytes:
    """An answer outside of any app, as bytes."""
    name = f"{_NUMBERS.getrandbits(64):016x}"
    body = msgspec.json.encode({**document(error, name), "status": status})
    head = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        f"content-type: {MEDIA_TYPE}",
        f"content-length: {len(body)}",
        "connection: close",
        "x-content-type-options: nosniff",
        "cache-control: no-store",
        f"x-request-id: {name}",
        *(["retry-after: 1"] if status == HTTPStatus.SERVICE_UNAVAILABLE else []),
    ]
    return "\r\n".join([*head, "", ""]).encode("ascii") + body


def rooms() -> tuple[int, int]:
    """Open as many files as the system lets this process: how many connections that is, and the backlog."""
    files = _OPEN
    if resource is not None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        files = _OPEN if hard == resource.RLIM_INFINITY else min(hard, _OPEN)
        if files > soft != resource.RLIM_INFINITY:
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
            except (OSError, ValueError):  # a system that promises more than it keeps
                files = soft
    backlog = min(_BACKLOG, files // 4)
    return max(_FEWEST, files - backlog - _OTHER_FILES), backlog


async def watch(connections: Collection[Any], every: float = LOOK) -> None:
    """Look over all connections now and then, without end."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(every)
        now = loop.time()
        gone = 0
        for one in list(connections):
            if isinstance(one, Patient) and one.let_go(now):
                gone += 1
                if gone % _AT_ONCE == 0:
                    await asyncio.sleep(0)  # nobody else waits while thousands are let go
        if gone:
            LOG.warning("slow clients were let go", extra={"count": gone})
